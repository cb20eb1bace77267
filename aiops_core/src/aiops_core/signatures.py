"""Verification of webhook proofs: constant-time comparison against several live secrets."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from aiops_core.config import Secret
from aiops_core.errors import WebhookRejected

MAX_HEADER_BYTES = 4096
MAX_SIGNATURES = 8
DIGEST_BYTES = 32
MAX_STAMP_DIGITS = 11
TOLERANCE = timedelta(seconds=300)


def hmac_sha256(secret: str, message: bytes) -> bytes:
    """Return the 32-byte HMAC-SHA256 of ``message`` under the UTF-8 bytes of ``secret``."""
    return hmac.digest(secret.encode(), message, hashlib.sha256)


def _bounded(header: str | None, name: str) -> str:
    if not header:
        raise WebhookRejected(f"The header {name} is missing.", check="header-missing")
    if len(header) > MAX_HEADER_BYTES or not header.isascii():
        raise WebhookRejected(f"The header {name} is not a signature.", check="header-malformed")
    return header


def _matching(candidates: Iterable[bytes], expected: Sequence[bytes]) -> int | None:
    """Return the index of the first expected digest that any candidate equals; every pair is compared.

    An expected digest of no bytes, that of an empty secret, is equalled by none.
    """
    found: int | None = None
    for candidate in candidates:
        for index, digest in enumerate(expected):
            if hmac.compare_digest(candidate, digest) and digest and found is None:
                found = index
    return found


def verify_hex_hmac(body: bytes, header: str | None, secrets: Sequence[Secret], *, name: str, prefix: str) -> int:
    """Verify ``<prefix><hex HMAC-SHA256 of the raw body>``.

    Args:
        body: The raw bytes as received.
        header: The header's value; ``None`` when it was not sent.
        secrets: The live secrets, newest first.
        name: The header's name, for the error.
        prefix: What stands before the digest, such as ``sha256=``.

    Returns:
        The index of the secret that signed.

    Raises:
        WebhookRejected: The header is missing, malformed or signed by none of the secrets.
    """
    value = _bounded(header, name)
    digest = value.removeprefix(prefix)
    if not value.startswith(prefix) or len(digest) != 2 * DIGEST_BYTES:
        raise WebhookRejected(f"The header {name} must read {prefix}<64 hexadecimal digits>.", check="header-malformed")
    try:
        candidate = bytes.fromhex(digest)
    except ValueError:
        raise WebhookRejected(f"The header {name} is not hexadecimal.", check="header-malformed") from None
    expected = [_digest(secret, body) for secret in secrets]
    return _accepted(_matching([candidate], expected), name)


def verify_static(header: str | None, secrets: Sequence[Secret], *, name: str) -> int:
    """Verify a header that carries the secret itself; return the index of the secret that matched.

    Raises:
        WebhookRejected: The header is missing or equals none of the secrets.
    """
    value = hashlib.sha256(_bounded(header, name).encode()).digest()
    expected = [_hashed(secret) for secret in secrets]
    return _accepted(_matching([value], expected), name)


def verify_standard_webhook(
    body: bytes,
    headers: Mapping[str, str],
    secrets: Sequence[Secret],
    *,
    now: datetime,
    tolerance: timedelta = TOLERANCE,
) -> tuple[int, datetime]:
    """Verify the Standard Webhooks headers ``webhook-id``, ``webhook-timestamp``, ``webhook-signature``.

    Args:
        body: The raw bytes as received.
        headers: Lower-case header names to values.
        secrets: The live secrets, newest first; ``whsec_`` and base64 as the standard writes them.
        now: The receiver's timezone-aware clock.
        tolerance: How far the signed time may differ from ``now``.

    Returns:
        The index of the secret that signed and the signed time.

    Raises:
        WebhookRejected: A header is missing or malformed, the time is outside the tolerance, no signature matches.
    """
    message_id = _bounded(headers.get("webhook-id"), "webhook-id")
    stamp = _bounded(headers.get("webhook-timestamp"), "webhook-timestamp")
    signatures = _bounded(headers.get("webhook-signature"), "webhook-signature").split(" ")
    sent_at = _signed_time(stamp, now, tolerance)
    if len(signatures) > MAX_SIGNATURES:
        raise WebhookRejected("The header webhook-signature has too many signatures.", check="header-malformed")
    candidates = [d for s in signatures if s.startswith("v1,") and (d := _base64(s[3:])) is not None]
    message = f"{message_id}.{stamp}.".encode() + body
    expected = [_standard_digest(secret, message) for secret in secrets]
    return _accepted(_matching(candidates, expected), "webhook-signature"), sent_at


def _signed_time(stamp: str, now: datetime, tolerance: timedelta) -> datetime:
    if not stamp.isdigit() or len(stamp) > MAX_STAMP_DIGITS:
        raise WebhookRejected("The header webhook-timestamp is not whole seconds.", check="header-malformed")
    sent_at = datetime.fromtimestamp(int(stamp), tz=now.tzinfo)
    if abs(now - sent_at) > tolerance:
        raise WebhookRejected("The signed time is too far from now; check the sender's clock.", check="timestamp")
    return sent_at


def _accepted(index: int | None, name: str) -> int:
    if index is None:
        raise WebhookRejected(f"The header {name} matches no live secret of this endpoint.", check="signature")
    return index


def _digest(secret: Secret, message: bytes) -> bytes:
    with secret.open() as value:
        return hmac_sha256(value, message) if value else b""


def _hashed(secret: Secret) -> bytes:
    with secret.open() as value:
        return hashlib.sha256(value.encode()).digest()


def _standard_digest(secret: Secret, message: bytes) -> bytes:
    with secret.open() as value:
        encoded = value.removeprefix("whsec_")
        key = _base64(encoded) if value.startswith("whsec_") else None
        key = value.encode() if key is None else key
        return hmac.digest(key, message, hashlib.sha256) if key else b""


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None
