"""People with second factors, whose devices a test has."""

import time
from uuid import UUID

from aiops_host.data import factors
from aiops_host.data.people import find_person
from aiops_host.data.session import Database
from aiops_host.trust.accounts import put_user
from aiops_host.trust.totp import SECRET_BYTES, STEP_SECONDS, SecondFactors, code_at
from aiops_host.trust.vault import INSTALLATION, SecretName, Vault

EMAILS = ("ada@example.com", "grace@example.com")


async def enrol(database: Database, vault: Vault, email: str) -> UUID:
    """Make a person with a confirmed second factor; return their id."""
    user_id = await put_user(database, email, "a long password of theirs")
    name = SecretName(
        tenant_id=INSTALLATION,
        owner_kind=factors.OWNER_KIND,
        owner_id=str(user_id),
        name=factors.NAME,
        version=1,
    )
    async with database.tenant(INSTALLATION) as con:
        assert await factors.begin(con, user_id, await vault.seal(con, name, _secret(email).hex()), 1)
        assert await factors.use_step(con, user_id, 1)
    return user_id


async def verifies(database: Database, vault: Vault, email: str) -> bool:
    """Return whether a code of the person's device is accepted."""
    person = await find_person(database, email)
    assert person is not None
    assert person.second_factor
    step = time.time_ns() // 1000  # each code works once, so that time runs fast here
    checked = SecondFactors(database, vault, "tests", clock=lambda: step * STEP_SECONDS)
    return await checked.check(person.user_id, code_at(_secret(email), step))


def _secret(email: str) -> bytes:
    return email.encode().ljust(SECRET_BYTES, b".")[:SECRET_BYTES]
