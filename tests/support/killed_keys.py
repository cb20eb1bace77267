"""Change all keys again and again, each time killed one step later: ``python -m tests.support.killed_keys URL KEY``.

Prints how many steps there were once a change went through; ends with 1 at the first secret or second factor that does
not open.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from tests.support import factors
from tests.support.sealed import read_all

from aiops_host import failpoints
from aiops_host.data.session import Database
from aiops_host.trust.keys.upkeep import Upkeep
from aiops_host.trust.vault import Vault

KILLED = -signal.SIGKILL


async def change(upkeep: Upkeep) -> None:
    """Make every key anew and bring everything under the new ones."""
    await upkeep.rotate()
    await upkeep.renew_data_keys()
    done = await upkeep.rewrap()
    assert not done.troubles, done.troubles
    await upkeep.retire()


async def finish(upkeep: Upkeep) -> None:
    """Do what a killed change left."""
    assert not (await upkeep.rewrap()).troubles
    await upkeep.retire()
    assert sum(tenant.outdated for tenant in await upkeep.status()) == 0


async def read(upkeep: Upkeep) -> None:
    """Open every secret: each holds its own name, and every second factor: each takes the code of its device."""
    for email in factors.EMAILS:
        assert await factors.verifies(upkeep.database, upkeep.vault, email), email
    found = await read_all(upkeep.database, upkeep.vault)
    assert found
    assert all(name == value for name, value in found.items())


def die_at(step: int) -> None:
    """Have this process kill itself when it reaches a step for that many times."""
    left = [step]

    def reached(_name: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    failpoints.reached = reached


def apart(url: str, key: str, work: Callable[[Upkeep], Coroutine[Any, Any, None]], step: int = 0) -> int:
    """Do the work in a process of its own; return its exit code, negative for the signal that ended it."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    async def whole() -> None:
        database = await Database.open({"app": url}, {"app": 4})
        die_at(step)
        await work(Upkeep(database, Vault.load(key)))
        await database.close()

    code = 1
    try:
        asyncio.run(whole())
        code = 0
    finally:
        os._exit(code)


def main(url: str, key: str) -> int:
    """Kill at the first step, at the second, and so on until there is none left to kill at."""
    step = 1
    while (ended := apart(url, key, change, step)) == KILLED:
        for work in (read, finish, read):
            if apart(url, key, work) != 0:
                print(f"killed at step {step}: {work.__name__} failed", file=sys.stderr)
                return 1
        step += 1
    print(json.dumps({"steps": step - 1}))
    return ended or apart(url, key, read)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
