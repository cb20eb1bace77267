"""Seals: the published vectors of their parts, what a changed one does, and that each opens under one key only."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from aiops_host.trust.keys.envelope import (
    COMMITMENT_BYTES,
    NONCE_BYTES,
    OVERHEAD,
    SALT_BYTES,
    DoesNotOpen,
    decrypt,
    derive,
    encrypt,
    hkdf,
    seal,
    unseal,
)

VECTORS = Path(__file__).parent / "wycheproof"
KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))


def vectors(name: str) -> dict[str, dict[str, Any]]:
    """Return the vectors of a file by their number and flags."""
    tests = json.loads((VECTORS / name).read_text())["tests"]
    return {f"{test['tcId']}-{'-'.join(test['flags'])}": test for test in tests}


AES_GCM = vectors("aes_gcm_256_96.json")
HKDF_SHA512 = vectors("hkdf_sha512.json")


@pytest.mark.parametrize("vector", AES_GCM)
def test_encryption_follows_wycheproof(vector: str) -> None:
    """AES-256-GCM gives and takes what Wycheproof's valid vectors say and refuses each invalid one."""
    test = {k: bytes.fromhex(v) for k, v in AES_GCM[vector].items() if isinstance(v, str) and k != "result"}
    sealed = test["ct"] + test["tag"]
    if AES_GCM[vector]["result"] == "valid":
        assert encrypt(test["key"], test["iv"], test["aad"], test["msg"]) == sealed
        assert decrypt(test["key"], test["iv"], test["aad"], sealed) == test["msg"]
    else:
        with pytest.raises(DoesNotOpen):
            decrypt(test["key"], test["iv"], test["aad"], sealed)


@pytest.mark.parametrize("vector", HKDF_SHA512)
def test_derivation_follows_wycheproof(vector: str) -> None:
    """HKDF-SHA512 gives what Wycheproof's valid vectors say and refuses each invalid one."""
    test = HKDF_SHA512[vector]
    key, salt, info = (bytes.fromhex(test[k]) for k in ("ikm", "salt", "info"))
    if test["result"] == "valid":
        assert hkdf(key, salt, info, test["size"]) == bytes.fromhex(test["okm"])
    else:
        with pytest.raises(ValueError, match="larger than"):
            hkdf(key, salt, info, test["size"])


@given(st.binary(min_size=32, max_size=32), st.binary(), st.binary())
def test_what_is_sealed_opens(key: bytes, context: bytes, plaintext: bytes) -> None:
    """Any bytes open under their key and context, and their length is all that shows."""
    sealed = seal(key, context, plaintext)
    assert unseal(key, context, sealed) == plaintext
    assert len(sealed) == len(plaintext) + OVERHEAD


@pytest.mark.promise("secrets-sealed")
def test_each_byte_of_a_seal_counts() -> None:
    """A seal with any single bit changed, or cut at any place, does not open."""
    sealed = seal(KEY, b"here", b"s3cret")
    assert unseal(KEY, b"here", sealed) == b"s3cret"
    changed = [sealed[:i] + bytes([sealed[i] ^ bit]) + sealed[i + 1 :] for i in range(len(sealed)) for bit in (1, 128)]
    for wrong in [*changed, *(sealed[:i] for i in range(len(sealed))), sealed + b"\0"]:
        with pytest.raises(DoesNotOpen):
            unseal(KEY, b"here", wrong)


@pytest.mark.parametrize(("key", "context"), [(OTHER_KEY, b"here"), (KEY, b"there"), (KEY, b""), (KEY, b"here\0")])
def test_key_and_context_are_needed(key: bytes, context: bytes) -> None:
    """Another key or another context opens nothing."""
    with pytest.raises(DoesNotOpen):
        unseal(key, context, seal(KEY, b"here", b"s3cret"))


@pytest.mark.attack(20)
def test_a_blob_forged_for_two_keys_opens_under_one_at_most() -> None:
    """A ciphertext made to pass AES-GCM under two keys is refused under the one its commitment does not name."""
    context, salt, nonce = b"here", bytes(SALT_BYTES), bytes(NONCE_BYTES)
    (first, commitment), (second, other_commitment) = derive(KEY, salt, context), derive(OTHER_KEY, salt, context)
    ciphertext = valid_under_both(first, second, nonce, context)
    assert len(decrypt(first, nonce, context, ciphertext)) == len(decrypt(second, nonce, context, ciphertext)) == 32

    forged = salt + nonce + commitment + ciphertext
    assert len(unseal(KEY, context, forged)) == 32
    with pytest.raises(DoesNotOpen):
        unseal(OTHER_KEY, context, forged)
    with pytest.raises(DoesNotOpen):
        unseal(KEY, context, salt + nonce + other_commitment + ciphertext)
    for wrong in (bytes(COMMITMENT_BYTES), commitment[::-1]):
        with pytest.raises(DoesNotOpen):
            unseal(KEY, context, salt + nonce + wrong + ciphertext)


@pytest.mark.attack(20, figure="10,000 seals; 1,000,000 by `python benchmarks/seals.py`")
def test_no_two_seals_share_key_and_nonce() -> None:
    """Ten thousand seals of one text under one key have ten thousand pairs of derived key and nonce."""
    seen = set()
    for _ in range(10_000):
        sealed = seal(KEY, b"here", b"")
        salt, nonce = sealed[:SALT_BYTES], sealed[SALT_BYTES : SALT_BYTES + NONCE_BYTES]
        seen.add((salt, nonce))
    assert len(seen) == len({salt for salt, _ in seen}) == 10_000


def test_a_seal_of_an_earlier_version_opens() -> None:
    """What was sealed once opens in later versions, so that salt, nonce, commitment and tag keep their lengths."""
    earlier = bytes.fromhex(
        "70fefa8a6b1831e65fd9e4816a764397ec9e0eb0cbb963a75b1e4a4c69341da97165a6b0932f848e55f944c995c7a464a68d647d54d3d3de"
        "58f4360610b7b74d8d392cc81515d7a53e99e1667285d367bd5fd114750d9104e1d201209d6976c1532f"
    )
    assert unseal(KEY, b"here", earlier) == b"s3cret"
    assert OVERHEAD == len(earlier) - len(b"s3cret") == 32 + 12 + 32 + 16
    salt, nonce, commitment, ciphertext = earlier[:32], earlier[32:44], earlier[44:76], earlier[76:]
    cipher_key, expected = derive(KEY, salt, b"here")
    assert commitment == expected
    assert decrypt(cipher_key, nonce, b"here", ciphertext) == b"s3cret"


def test_the_benchmark_of_seals_runs() -> None:
    """The campaign for a million seals counts what it saw and ends with 0 where nothing came twice."""
    script = Path(__file__).parents[3] / "benchmarks" / "seals.py"
    ran = subprocess.run([sys.executable, script, "--seals", "500"], check=True, capture_output=True, text=True)
    found = json.loads(ran.stdout)
    assert (found["seals"], found["repeated_pairs"], found["repeated_keys"]) == (500, 0, 0)


def valid_under_both(first: bytes, second: bytes, nonce: bytes, context: bytes) -> bytes:
    """Return two blocks and a tag that AES-GCM takes under both keys: the second block solves for equal tags."""
    sides = [(_hash_key(key), _mask(key, nonce)) for key in (first, second)]
    associated = [int.from_bytes(context[i : i + 16].ljust(16, b"\0"), "big") for i in range(0, len(context), 16)]
    lengths = (len(context) * 8 << 64) | 32 * 8
    block = int.from_bytes(b"a block of choice", "big") & (2**128 - 1)

    def tag(side: tuple[int, int], last: int) -> int:
        value = 0
        for part in (*associated, block, last, lengths):
            value = _times(value ^ part, side[0])
        return value ^ side[1]

    (one, _), (two, _) = sides
    difference = tag(sides[0], 0) ^ tag(sides[1], 0)
    last = _times(difference, _inverse(_times(one, one) ^ _times(two, two)))
    assert tag(sides[0], last) == tag(sides[1], last)
    return block.to_bytes(16, "big") + last.to_bytes(16, "big") + tag(sides[0], last).to_bytes(16, "big")


def _mask(key: bytes, nonce: bytes) -> int:
    """Return what AES-GCM masks its hash with: the tag of nothing, whose hash is zero."""
    return int.from_bytes(encrypt(key, nonce, b"", b""), "big")


def _hash_key(key: bytes) -> int:
    """Return the key of AES-GCM's hash: one block of zeros, encrypted."""
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - GCM defines it so
    return int.from_bytes(block.update(bytes(16)), "big")


def _times(left: int, right: int) -> int:
    """Multiply in GCM's field."""
    product = 0
    for position in range(127, -1, -1):
        if left >> position & 1:
            product ^= right
        right = right >> 1 ^ (0xE1 << 120 if right & 1 else 0)
    return product


def _inverse(value: int) -> int:
    """Return the value to the power of 2^128 - 2."""
    result, square = 1 << 127, value
    for _ in range(127):
        square = _times(square, square)
        result = _times(result, square)
    return result
