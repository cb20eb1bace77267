"""What commands on an installation of ``aiops up`` are told: a file of settings, without secrets that were not its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from aiops_core.config import split_secrets
from aiops_core.plugins import load_plugins
from aiops_host.settings import Settings, read_settings
from aiops_host.trust.opening import PROVIDER_CONFIG, provider_values

PASSED_ON = ("AIOPS_EGRESS_PRIVATE", "AIOPS_EGRESS_PORTS", "AIOPS_KEY_PROVIDER", PROVIDER_CONFIG)
"""Commands call ticketing tools and open secrets too, with nothing but the file."""


def passed_on(environ: Mapping[str, str], settings: Settings, say: Callable[[str], None]) -> dict[str, str]:
    """Return those settings of ``aiops up`` itself that commands need.

    Where a file holds the value, the file is named, by its full path. A key provider's configuration with a secret in it
    is left out.

    Args:
        environ: The environment of ``aiops up``.
        settings: What was read from it.
        say: Told what is left out, and what to do about it.

    Raises:
        ConfigInvalid: The key provider's configuration is no JSON object.
    """
    found: dict[str, str] = {}
    for name in PASSED_ON:
        if name in environ:
            found[name] = environ[name]
        elif (file := environ.get(f"{name}_FILE")) is not None:
            found[f"{name}_FILE"] = str(Path(file).absolute())
    if PROVIDER_CONFIG in found:
        del found[PROVIDER_CONFIG]
        values = provider_values(settings)
        if secret := sorted(set(_secrets(settings, values))):
            say(
                f"{PROVIDER_CONFIG} holds a secret ({', '.join(secret)}), which is not written for commands: set it for "
                f"them too, or put it into a file and name that in {PROVIDER_CONFIG}_FILE"
            )
        else:
            found[PROVIDER_CONFIG] = msgspec.json.encode(values).decode()
    return found


def write(path: Path, environment: Mapping[str, str]) -> None:
    """Write what commands read, once all of it is known to be readable.

    Raises:
        ConfigInvalid: A value is of the wrong kind.
    """
    read_settings(environment)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.writelines(f"{name}={value}\n" for name, value in environment.items())


def _secrets(settings: Settings, values: Mapping[str, object]) -> Iterator[str]:
    """Yield the fields that are secret to any installed provider: keys may be on their way from one to another."""
    for spec in load_plugins(blocked=settings.blocked).registry.key_providers.values():
        yield from split_secrets(spec.config, values)[1]
