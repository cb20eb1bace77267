"""What API tokens look like, and passwords."""

import re

import pytest
from argon2 import PasswordHasher, extract_parameters

from aiops_host.trust.passwords import PasswordRefused, check_email, check_password, nobodys_hash
from aiops_host.trust.tokens import new_token, well_formed


def test_a_token_is_found_by_scanners() -> None:
    """Every token begins with the same letters and ends with a checksum, which tells a real one from a like one."""
    tokens = {new_token() for _ in range(200)}
    assert len(tokens) == 200
    for token in tokens:
        assert re.fullmatch(r"aiops_pat_[A-Za-z0-9_-]{49}", token)
        assert well_formed(token)


def test_what_is_no_token_is_not_looked_up() -> None:
    """One wrong character, one more or one less, another prefix or no ASCII: no token."""
    token = new_token()
    changed = [token[:i] + ("A" if token[i] != "A" else "B") + token[i + 1 :] for i in range(len(token))]
    others = [token[:-1], token + "A", "", "aiops_pat_", token.upper(), "é" + token[1:], "x" * 10_000]
    assert [t for t in [*changed, *others] if well_formed(t)] == []


def test_nobody_is_compared_at_the_costs_of_a_real_password() -> None:
    """An address nobody has is checked against a hash of the same kind and costs, so that it takes as long."""
    assert extract_parameters(nobodys_hash()) == extract_parameters(PasswordHasher().hash("x"))
    assert nobodys_hash() != nobodys_hash()


@pytest.mark.parametrize("email", ["", "nobody", "a b@c.example", "a@b.example\n", "a\x00@b.example", "a@" + "b" * 254])
def test_what_is_no_address_is_refused(email: str) -> None:
    """An address has an at sign, no blanks and a bounded length."""
    with pytest.raises(PasswordRefused):
        check_email(email)


def test_a_password_has_twelve_characters_at_least() -> None:
    """Shorter ones are refused, and so is what nobody types."""
    check_password("x" * 12)
    for refused in ("x" * 11, "x" * 1025):
        with pytest.raises(PasswordRefused):
            check_password(refused)
