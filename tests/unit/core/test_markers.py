"""References that mark our notes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aiops_core.markers import ALPHABET, PREFIX, find_reference, new_reference, shown


def test_references_are_distinct_and_well_formed() -> None:
    """A reference is 18 base32 characters, and two are never the same."""
    references = {new_reference() for _ in range(2000)}
    assert len(references) == 2000
    assert all(len(r) == 18 and set(r) <= set(ALPHABET) for r in references)


@given(st.text(max_size=80), st.text(max_size=80))
def test_shown_reference_is_found_in_any_text(before: str, after: str) -> None:
    """A reference shown amid other text is found, unless letters or digits run on."""
    reference = new_reference()
    assert find_reference(f"{before.replace(PREFIX, '')} {shown(reference)} {after}") == reference


def test_first_well_formed_reference_is_found() -> None:
    """Look-alikes before the reference are passed over."""
    reference, later, running = new_reference(), new_reference(), new_reference()
    text = f"{PREFIX}SHORT {PREFIX}{'A' * 18} {shown(running)}X {shown(reference)}, {shown(later)}"
    assert find_reference(text) == reference
    assert find_reference("") is None
    assert find_reference(reference) is None
    assert find_reference(shown(reference).lower()) is None


def test_mistyped_references_are_noticed() -> None:
    """The two check characters let about one mistyped reference in a thousand pass, not more."""
    passed = tried = 0
    for _ in range(60):
        reference = new_reference()
        for at in range(18):
            for wrong in "A2QX7":
                if wrong != reference[at]:
                    tried += 1
                    passed += find_reference(shown(reference[:at] + wrong + reference[at + 1 :])) is not None
    assert tried > 5000
    assert passed < tried / 200
