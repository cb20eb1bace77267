"""The dashboard's own settings, read from the environment once per process."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from aiops_core.errors import ConfigInvalid

PREFIX = "AIOPS_"
ENV_FILE = PREFIX + "ENV_FILE"
LOOPBACK = ("127.0.0.1", "localhost")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class AdminSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Every field is read from ``AIOPS_<FIELD>``, or from the file that ``AIOPS_<FIELD>_FILE`` names."""

    api_url: Annotated[str, Meta(description="The host's address as the dashboard reaches it")] = (
        "http://127.0.0.1:8000"
    )
    base_url: Annotated[str, Meta(description="The host's public address, for webhook addresses; empty: api_url")] = ""
    admin_host: Annotated[str, Meta(description="Address the dashboard listens on")] = "127.0.0.1"
    admin_port: Annotated[int, Meta(description="Port the dashboard listens on; 0: any free one", ge=0, le=65535)] = (
        8001
    )
    admin_url: Annotated[str, Meta(description="The dashboard's public address; empty: http://admin_host:port")] = ""
    admin_secret: Annotated[str, Meta(description="Signs page tokens; empty: a new one per process")] = ""
    cookie_secure: Annotated[bool, Meta(description="Send cookies over https only")] = False
    log_level: Annotated[str, Meta(description="DEBUG, INFO, WARNING or ERROR")] = "INFO"

    @property
    def webhook_base(self) -> str:
        """The address ticketing tools reach the host at, without a trailing slash."""
        return (self.base_url or self.api_url).rstrip("/")

    @property
    def signing_secret(self) -> str:
        """The secret that signs page tokens; a new one on each call while none is configured."""
        return self.admin_secret or secrets.token_urlsafe(32)

    def origins(self, port: int) -> list[str]:
        """Return ``host:port`` of every address a browser may open the dashboard at, once it listens on ``port``."""
        if self.admin_url:
            return [urlsplit(self.admin_url).netloc.lower()]
        names = LOOPBACK if self.admin_host in LOOPBACK else (self.admin_host,)
        return [f"{name}:{port}" for name in names]

    def public_url(self, port: int) -> str:
        """Return the address people open the dashboard at, without a trailing slash."""
        return (self.admin_url or f"http://{self.admin_host}:{port}").rstrip("/")


def read_settings(environ: Mapping[str, str] | None = None) -> AdminSettings:
    """Read the settings.

    ``AIOPS_ENV_FILE`` names a file of ``AIOPS_X=value`` lines, which the environment overrides.

    Raises:
        ConfigInvalid: A value is of the wrong kind, a file cannot be read, or the environment would open the
            dashboard's live connection to other origins; the message names the variable.
    """
    env = os.environ if environ is None else environ
    if path := env.get(ENV_FILE):
        env = {**_lines(_file(ENV_FILE, path)), **env}
    if env.get("BOKEH_ALLOW_WS_ORIGIN"):
        raise ConfigInvalid(
            "BOKEH_ALLOW_WS_ORIGIN would let other sites connect to the dashboard: unset it and set AIOPS_ADMIN_URL."
        )
    values = {f: v for f in AdminSettings.__struct_fields__ if (v := _value(env, PREFIX + f.upper())) is not None}
    try:
        settings = msgspec.convert(values, AdminSettings, strict=False)
    except msgspec.ValidationError as error:
        field = str(error).rpartition("$.")[2].rstrip("`")
        raise ConfigInvalid(f"{PREFIX}{field.upper()}: {str(error).partition(' - at')[0]}") from None
    _check(settings)
    return settings


def _value(env: Mapping[str, str], name: str) -> str | None:
    if name in env:
        return env[name]
    path = env.get(name + "_FILE")
    return None if path is None else _file(name + "_FILE", path)


def _file(variable: str, path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ConfigInvalid(f"{variable}: {error.strerror}: {path}") from None


def _lines(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _check(settings: AdminSettings) -> None:
    for name in ("api_url", "base_url", "admin_url"):
        address = getattr(settings, name)
        if address and (urlsplit(address).scheme not in {"http", "https"} or not urlsplit(address).netloc):
            raise ConfigInvalid(f"{PREFIX}{name.upper()}: not an http or https address: {address}")
    if urlsplit(settings.admin_url).path not in {"", "/"}:
        raise ConfigInvalid("AIOPS_ADMIN_URL: the dashboard needs a host name of its own, without a path")
    if settings.log_level.upper() not in LOG_LEVELS:
        raise ConfigInvalid(f"AIOPS_LOG_LEVEL: choose one of {', '.join(LOG_LEVELS)}")
