"""Seal the same secret again and again, and look for a pair of key and nonce that came twice.

    python benchmarks/seals.py [--seals 1000000]

Prints one line of JSON; exit code 1 if a pair or a derived key was repeated.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from uuid import UUID

from aiops_host.trust.keys.envelope import NONCE_BYTES, SALT_BYTES, derive
from aiops_host.trust.keys.naming import HEAD_BYTES, KeyName, SecretName, context
from aiops_host.trust.vault import DataKey, open_under, seal_under

TENANT, INSTALLATION = UUID(int=1), UUID(int=2)
NAME = SecretName(tenant_id=TENANT, owner_kind="llm-backend", owner_id="litellm", name="api_key", version=1)
DIGEST_BYTES = 16
CHECKED_EVERY = 1000


def seals(count: int) -> dict[str, object]:
    """Seal ``count`` times; return how many pairs, keys and salts were seen, and how long it took.

    A derived key and its nonce are kept as a hash of 128 bits: among a million, two different pairs share one with a
    chance of 10^-27.
    """
    key = DataKey(KeyName(TENANT, "credentials", 1), INSTALLATION, bytes(range(32)), lasting=True)
    bound = context(INSTALLATION, NAME, key.name)
    pairs: set[bytes] = set()
    keys: set[bytes] = set()
    seconds = 0.0
    for number in range(count):
        begun = time.perf_counter()
        sealed = seal_under(key, NAME, "sk-a-key-of-fifty-characters-as-providers-give-out")
        seconds += time.perf_counter() - begun
        if number % CHECKED_EVERY == 0:
            open_under(key, NAME, sealed)
        salt, nonce = sealed[HEAD_BYTES:][:SALT_BYTES], sealed[HEAD_BYTES + SALT_BYTES :][:NONCE_BYTES]
        derived, _ = derive(key.use(), salt, bound)
        keys.add(_digest(derived))
        pairs.add(_digest(derived + nonce))
    return {
        "seals": count,
        "repeated_pairs": count - len(pairs),
        "repeated_keys": count - len(keys),
        "microseconds_per_seal": round(seconds / count * 1e6, 1),
    }


def _digest(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=DIGEST_BYTES).digest()


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seals", type=int, default=1_000_000)
    found = seals(parser.parse_args().seals)
    print(json.dumps(found))
    return 1 if found["repeated_pairs"] or found["repeated_keys"] else 0


if __name__ == "__main__":
    sys.exit(main())
