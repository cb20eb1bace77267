"""Codes by time."""

import xml.etree.ElementTree as ET
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from aiops_host.trust.totp import code_at, issuer_of, matching_step, qr_code, recovery_code, uri_of

SEEDS = {"sha1": b"12345678901234567890", "sha256": b"1234567890" * 4, "sha512": b"1234567890" * 7}
LENGTHS = {"sha1": 20, "sha256": 32, "sha512": 64}
RFC_6238 = [
    (59, "94287082", "46119246", "90693936"),
    (1111111109, "07081804", "68084774", "25091201"),
    (1111111111, "14050471", "67062674", "99943326"),
    (1234567890, "89005924", "91819424", "93441116"),
    (2000000000, "69279037", "90698825", "38618901"),
    (20000000000, "65353130", "77737706", "47863826"),
]
RFC_4226 = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]


@pytest.mark.parametrize(("moment", "sha1", "sha256", "sha512"), RFC_6238)
def test_codes_are_those_of_rfc_6238(moment: int, sha1: str, sha256: str, sha512: str) -> None:
    """Appendix B's table, with its three hashes and eight digits."""
    for algorithm, expected in (("sha1", sha1), ("sha256", sha256), ("sha512", sha512)):
        seed = SEEDS[algorithm][: LENGTHS[algorithm]]
        assert code_at(seed, moment // 30, digits=8, algorithm=algorithm) == expected


def test_codes_are_those_of_rfc_4226() -> None:
    """Appendix D's table of six digits."""
    assert [code_at(SEEDS["sha1"], step) for step in range(10)] == RFC_4226


def test_a_device_may_be_one_step_off() -> None:
    """The step before and the one after count, those beyond do not; how the code is grouped does not matter."""
    secret, now = SEEDS["sha1"], 1111111109.0
    step = int(now // 30)
    found = {offset: matching_step(secret, code_at(secret, step + offset), now) for offset in range(-3, 4)}
    assert found == {-3: None, -2: None, -1: step - 1, 0: step, 1: step + 1, 2: None, 3: None}
    code = code_at(secret, step)
    assert matching_step(secret, f" {code[:3]} {code[3:]} ", now) == step
    for wrong in ("", "0", code[:5], code + "0", "abcdef", "\uff11\uff12\uff13\uff14\uff15\uff16"):
        assert matching_step(secret, wrong, now) is None


def test_an_app_reads_the_link_and_the_picture() -> None:
    """Label, secret and issuer are whole, whatever stands in them; the picture is one well-formed SVG."""
    uri = uri_of(SEEDS["sha1"], "a+b@ex ample.example", "AI Ops & Söhne: x")
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert parts.path.count(":") == 1
    assert unquote(parts.path) == "/AI Ops & Söhne: x:a+b@ex ample.example"
    assert parse_qs(parts.query) == {"secret": ["GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"], "issuer": ["AI Ops & Söhne: x"]}
    assert ET.fromstring(qr_code(uri)).tag.endswith("svg")  # noqa: S314 - made by ourselves
    assert (issuer_of("aiops"), issuer_of("north")) == ("AI Ops", "AI Ops north")


def test_recovery_codes_are_random_and_readable() -> None:
    """Four groups of four of base 32, and no two alike."""
    codes = {recovery_code() for _ in range(500)}
    assert len(codes) == 500
    assert all(len(code) == 19 and code.count("-") == 3 for code in codes)
