"""Verification of webhook proofs."""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_core import Secret, WebhookRejected
from aiops_core.signatures import (
    MAX_HEADER_BYTES,
    MAX_SIGNATURES,
    hmac_sha256,
    verify_hex_hmac,
    verify_standard_webhook,
    verify_static,
)

# The example of the Standard Webhooks specification (https://www.standardwebhooks.com) and its libraries.
ID, STAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}'
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
NOW = datetime.fromtimestamp(int(STAMP), tz=UTC)
# The example of https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries.
HEX_SECRET, HEX_BODY = "It's a Secret to Everybody", b"Hello, World!"
HEX_SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
OTHER = Secret.of("another secret")


def standard(
    *secrets: str,
    body: bytes = BODY,
    signature: str | None = SIGNATURE,
    stamp: str | None = STAMP,
    message_id: str | None = ID,
    now: datetime = NOW,
) -> tuple[int, datetime]:
    """Verify the example with some of its parts changed; ``None`` leaves a header out."""
    given_headers = {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": signature}
    headers = {name: value for name, value in given_headers.items() if value is not None}
    return verify_standard_webhook(body, headers, [Secret.of(s) for s in secrets or (SECRET,)], now=now)


def hexed(header: str | None, *secrets: str, body: bytes = HEX_BODY) -> int:
    """Verify the example of a hexadecimal signature."""
    live = [Secret.of(secret) for secret in secrets or (HEX_SECRET,)]
    return verify_hex_hmac(body, header, live, name="x-hub-signature", prefix="sha256=")


@pytest.mark.parametrize(
    ("key", "message", "digest"),
    [
        ("\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        ("Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    ],
)
def test_hmac_follows_the_standard(key: str, message: bytes, digest: str) -> None:
    """HMAC-SHA256 gives the digests of RFC 4231, cases 1 and 2."""
    assert hmac_sha256(key, message).hex() == digest


def test_published_examples_are_accepted() -> None:
    """The published examples of both schemes verify."""
    assert standard() == (0, NOW)
    assert hexed(HEX_SIGNATURE) == 0


def test_any_live_secret_is_accepted_by_its_index() -> None:
    """During a rotation either secret verifies, and the index says which it was."""
    assert standard("whsec_" + base64.b64encode(b"new").decode(), SECRET)[0] == 1
    assert hexed(HEX_SIGNATURE, "new", HEX_SECRET, HEX_SECRET) == 1
    assert verify_static("old", [OTHER, Secret.of("old")], name="x-key") == 1


def test_any_of_several_signatures_is_accepted() -> None:
    """A sender in rotation sends several signatures, of which one must match."""
    wrong = "v1," + base64.b64encode(b"x" * 32).decode()
    assert standard(signature=f"{wrong} {SIGNATURE}")[0] == 0
    assert standard(signature=" ".join([wrong] * (MAX_SIGNATURES - 1) + [SIGNATURE]))[0] == 0


@pytest.mark.parametrize(
    ("signature", "check"),
    [
        (None, "header-missing"),
        ("", "header-missing"),
        (" ", "signature"),
        ("v1,", "signature"),
        ("v1", "signature"),
        (SIGNATURE.replace("v1", "v2"), "signature"),
        (SIGNATURE.replace("v1", "V1"), "signature"),
        (SIGNATURE.replace("v1", "v1a"), "signature"),
        (SIGNATURE.removeprefix("v1,"), "signature"),
        (SIGNATURE[:-1], "signature"),
        (SIGNATURE[:20], "signature"),
        (SIGNATURE + "A", "signature"),
        ("v1," + hmac.digest(b"", b"", "sha256").hex(), "signature"),
        ("v1,é", "header-malformed"),
        ("v1," + "A" * MAX_HEADER_BYTES, "header-malformed"),
        (" ".join(["v1,AAAA"] * MAX_SIGNATURES + [SIGNATURE]), "header-malformed"),
    ],
)
@pytest.mark.attack(9)
def test_wrong_signature_header_is_refused(signature: str | None, check: str) -> None:
    """A signature that is missing, cut, of another version, too long, too many or not ASCII is refused."""
    with pytest.raises(WebhookRejected) as error:
        standard(signature=signature)
    assert error.value.check == check


@pytest.mark.attack(9)
def test_bounds_are_where_they_are_said_to_be() -> None:
    """A header of 4 KiB, eight signatures and a time of eleven digits are looked at; one more of each is malformed."""
    for header, check in (("x" * 4096, "signature"), ("x" * 4097, "header-malformed")):
        with pytest.raises(WebhookRejected, match="x-key") as error:
            verify_static(header, [OTHER], name="x-key")
        assert error.value.check == check
    assert standard(signature=" ".join(["v1,AAAA"] * 7 + [SIGNATURE]))[0] == 0
    with pytest.raises(WebhookRejected, match="too many signatures"):
        standard(signature=" ".join(["v1,AAAA"] * 8 + [SIGNATURE]))
    for stamp, check in (("9" * 11, "timestamp"), ("9" * 12, "header-malformed")):
        with pytest.raises(WebhookRejected) as error:
            standard(stamp=stamp)
        assert error.value.check == check


@pytest.mark.parametrize(
    "stamp", ["", "16142653e1", "-1614265330", "1614265330.0", " 1614265330", "١٦١٤٢٦٥٣٣٠", "9" * 12, "9" * 500]
)
def test_odd_signed_time_is_refused(stamp: str) -> None:
    """A signed time that is not a plain number of seconds is refused and nothing else is raised."""
    with pytest.raises(WebhookRejected) as error:
        standard(stamp=stamp)
    assert error.value.check in {"header-missing", "header-malformed"}


@pytest.mark.parametrize("seconds", [-300, -299, 0, 299, 300])
def test_signed_time_within_the_tolerance_is_accepted(seconds: int) -> None:
    """Five minutes to either side are accepted, the last second included."""
    assert standard(now=NOW + timedelta(seconds=seconds)) == (0, NOW)


@pytest.mark.parametrize("seconds", [-100_000, -301, 301, 100_000])
@pytest.mark.attack(10)
def test_signed_time_outside_the_tolerance_is_refused(seconds: int) -> None:
    """A replay, or a clock that is off by more, is refused by name."""
    with pytest.raises(WebhookRejected) as error:
        standard(now=NOW + timedelta(seconds=seconds))
    assert error.value.check == "timestamp"


def test_every_signed_part_counts() -> None:
    """Another body, id or time than the signed one is refused, and so is a missing header."""
    for change in ({"body": BODY + b" "}, {"message_id": ID + "x"}, {"stamp": str(int(STAMP) + 1)}):
        with pytest.raises(WebhookRejected):
            standard(**change)  # type: ignore[arg-type]
    for absent in ({"message_id": None}, {"stamp": None}):
        with pytest.raises(WebhookRejected) as error:
            standard(**absent)  # type: ignore[arg-type]
        assert error.value.check == "header-missing"


def test_a_secret_is_read_as_its_sender_reads_it() -> None:
    """Without the standard's prefix a secret is its own bytes, base64 or not; with it, what is no base64 is, too."""
    message = f"{ID}.{STAMP}.".encode() + BODY
    for secret in ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_no base64", "whsec_zwölf"):
        signature = "v1," + base64.b64encode(hmac.digest(secret.encode(), message, "sha256")).decode()
        assert standard(secret, signature=signature)[0] == 0


@pytest.mark.parametrize(
    ("header", "check", "says"),
    [
        (None, "header-missing", "x-hub-signature is missing"),
        ("é", "header-malformed", "x-hub-signature is not a signature"),
        (HEX_SIGNATURE[:-2], "header-malformed", "x-hub-signature must read sha256=<64 hexadecimal digits>"),
        (HEX_SIGNATURE[:-1] + "g", "header-malformed", "x-hub-signature is not hexadecimal"),
        ("sha256=" + " ".join(HEX_SIGNATURE[7:]), "header-malformed", "x-hub-signature must read"),
        ("sha256=" + "0" * 64, "signature", "x-hub-signature matches no live secret"),
    ],
)
@pytest.mark.attack(9)
def test_a_refused_hex_signature_is_explained(header: str | None, check: str, says: str) -> None:
    """Whoever sets a sender up reads which header is wrong and how, spaces between the digits included."""
    with pytest.raises(WebhookRejected, match=says) as error:
        hexed(header)
    assert error.value.check == check


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"message_id": None}, "webhook-id is missing"),
        ({"stamp": None}, "webhook-timestamp is missing"),
        ({"signature": None}, "webhook-signature is missing"),
        ({"stamp": "soon"}, "webhook-timestamp is not whole seconds"),
        ({"now": NOW + timedelta(hours=1)}, "check the sender's clock"),
        ({"body": b""}, "webhook-signature matches no live secret"),
    ],
)
def test_a_refused_standard_webhook_is_explained(change: dict[str, Any], says: str) -> None:
    """Whoever sets a sender up reads which of the three headers is wrong and how."""
    with pytest.raises(WebhookRejected, match=says):
        standard(**change)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        HEX_SIGNATURE.removeprefix("sha256="),
        HEX_SIGNATURE.replace("sha256=", "sha1="),
        HEX_SIGNATURE.replace("sha256=", "SHA256="),
        HEX_SIGNATURE[:-1],
        HEX_SIGNATURE[:-2],
        HEX_SIGNATURE + "00",
        HEX_SIGNATURE[:-1] + "g",
        HEX_SIGNATURE[:-2] + "  ",
        HEX_SIGNATURE[:-1] + "é",
        HEX_SIGNATURE * 100,
        f"{HEX_SIGNATURE},{HEX_SIGNATURE}",
    ],
)
def test_wrong_hex_signature_is_refused(header: str | None) -> None:
    """A hexadecimal signature that is missing, cut, lengthened or of another kind is refused."""
    with pytest.raises(WebhookRejected):
        hexed(header)


def test_empty_secret_accepts_nobody() -> None:
    """An empty secret, which anybody could sign with, verifies nothing."""
    unkeyed = hmac.digest(b"", HEX_BODY, "sha256").hex()
    with pytest.raises(WebhookRejected):
        hexed(f"sha256={unkeyed}", "")
    message = f"{ID}.{STAMP}.".encode() + BODY
    forged = "v1," + base64.b64encode(hmac.digest(b"", message, "sha256")).decode()
    for empty in ("", "whsec_"):
        for signature in (forged, "v1,"):
            with pytest.raises(WebhookRejected):
                standard(empty, signature=signature)
    with pytest.raises(WebhookRejected):
        verify_static("", [Secret.of("")], name="x-key")


def test_an_empty_secrets_digest_is_no_digest() -> None:
    """No signature equals what an empty secret is compared as, however short."""
    for digit in range(256):
        with pytest.raises(WebhookRejected):
            standard("", signature="v1," + base64.b64encode(bytes([digit])).decode())


def test_no_secret_accepts_nobody() -> None:
    """An endpoint without live secrets refuses everything."""
    with pytest.raises(WebhookRejected):
        verify_static("x", [], name="x-key")
    with pytest.raises(WebhookRejected):
        verify_hex_hmac(HEX_BODY, HEX_SIGNATURE, [], name="x", prefix="sha256=")


def test_errors_name_the_header_and_no_secret() -> None:
    """A refusal says which header is wrong and shows neither the secret nor the right signature."""
    with pytest.raises(WebhookRejected, match="x-hub-signature") as error:
        hexed("sha256=" + "0" * 64)
    assert HEX_SECRET not in str(error.value)
    assert HEX_SIGNATURE[7:] not in str(error.value)


@given(st.integers(0, len(HEX_BODY) * 8 - 1))
@pytest.mark.attack(9)
@pytest.mark.promise("sender-proven")
def test_one_flipped_bit_of_the_body_is_refused(bit: int) -> None:
    """Any single bit changed in the body is noticed."""
    body = bytearray(HEX_BODY)
    body[bit // 8] ^= 1 << bit % 8
    with pytest.raises(WebhookRejected):
        hexed(HEX_SIGNATURE, body=bytes(body))


@given(st.integers(0, len(SIGNATURE) - 1), st.characters())
def test_one_changed_character_of_the_signature_is_refused(at: int, character: str) -> None:
    """A signature with one character replaced is refused unless it still encodes the same digest."""
    changed = SIGNATURE[:at] + character + SIGNATURE[at + 1 :]
    same = changed.startswith("v1,") and _decoded(changed[3:]) == _decoded(SIGNATURE[3:])
    if same:
        assert standard(signature=changed)[0] == 0
    else:
        with pytest.raises(WebhookRejected):
            standard(signature=changed)


@given(st.text(max_size=200), st.binary(max_size=50), st.text(max_size=20))
@pytest.mark.attack(9)
def test_random_headers_are_refused_and_raise_nothing_else(header: str, body: bytes, stamp: str) -> None:
    """Whatever stands in the headers, the answer is a refusal."""
    for attempt in (
        lambda: hexed(header, body=body),
        lambda: hexed("sha256=" + header, body=body),
        lambda: standard(signature=header, body=body),
        lambda: standard(stamp=stamp, body=body),
        lambda: standard(message_id=header, body=body + b"x"),
        lambda: verify_static(header, [OTHER], name="x-key"),
    ):
        with pytest.raises(WebhookRejected):
            attempt()


@given(st.binary(max_size=200), st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_signed_bodies_are_accepted_by_the_signing_secret_only(body: bytes, secret: str, other: str) -> None:
    """Whatever the body, its own secret's signature verifies and another secret's does not."""
    header = "sha256=" + hmac_sha256(secret, body).hex()
    assert hexed(header, secret, body=body) == 0
    if secret != other and hmac_sha256(other, body) != hmac_sha256(secret, body):
        with pytest.raises(WebhookRejected):
            hexed(header, other, body=body)


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None
