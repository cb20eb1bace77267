"""The host's own settings, read from the environment once per process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.inspect import type_info

from aiops_core.errors import ConfigInvalid
from aiops_core.wording import explained

PREFIX = "AIOPS_"


def _about(text: str) -> Meta:
    return Meta(description=text)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every field is read from ``AIOPS_<FIELD>``; durations are in seconds."""

    database_url: Annotated[str, _about("PostgreSQL as the application role aiops_app")] = ""
    intake_database_url: Annotated[str, _about("PostgreSQL as aiops_intake; host only")] = ""
    sweeper_database_url: Annotated[str, _about("PostgreSQL as aiops_sweeper; worker, and host for metrics")] = ""
    migrate_database_url: Annotated[str, _about("PostgreSQL as the migrator; `aiops migrate` only")] = ""
    redis_url: Annotated[str, _about("Redis; empty: the worker polls PostgreSQL")] = ""
    key_file: Annotated[str, _about("Key file; empty: the systemd credential aiops-key")] = ""
    key_provider: Annotated[str, _about("Who keeps the key that wraps tenants' data keys")] = "file"
    key_provider_config: Annotated[str, _about("Configuration of another key provider than file, as a JSON object")] = (
        ""
    )
    installation: Annotated[str, _about("Name of this installation in the markers of its notes")] = "aiops"
    host: Annotated[str, _about("Address the host listens on")] = "127.0.0.1"
    port: Annotated[int, Meta(description="Port the host listens on", ge=0, le=65535)] = 8000
    admin_host: Annotated[str, _about("Address the dashboard listens on")] = "127.0.0.1"
    admin_port: Annotated[int, Meta(description="Port the dashboard listens on", ge=0, le=65535)] = 8001
    metrics_host: Annotated[str, _about("Address /metrics is served at")] = "127.0.0.1"
    metrics_port: Annotated[int, Meta(description="Port of /metrics, one per process; 0: none", ge=0, le=65535)] = 0
    base_url: Annotated[str, _about("The host's public address, for links; empty: http://host:port")] = ""
    admin_url: Annotated[str, _about("The dashboard's public address; empty: http://admin_host:admin_port")] = ""
    egress_private: Annotated[
        str, _about("Private networks that may be called, by http too, separated by commas, such as 10.2.0.0/16")
    ] = ""
    egress_ports: Annotated[str, _about("Ports of public addresses that may be called, separated by commas")] = (
        "443,8443"
    )
    blocked_plugins: Annotated[str, _about("Names of plugins not to load, separated by commas")] = ""
    default_backend: Annotated[str, _about("LLM backend of tenants that configured none")] = "offline"
    pool_size: Annotated[int, Meta(description="PostgreSQL connections of one process", ge=4, le=200)] = 20
    slots: Annotated[int, Meta(description="Deliveries one worker works on at a time", ge=1, le=1000)] = 64
    lease: Annotated[float, _about("How long a claim holds without a heartbeat")] = 30.0
    heartbeat: Annotated[float, _about("How often a claim is renewed")] = 10.0
    poll_interval: Annotated[float, _about("How often due work is looked for")] = 1.0
    retry_delays: Annotated[str, _about("Waits before each retry, separated by commas")] = (
        "2,4,8,30,300,1800,7200,21600,86400"
    )
    max_crashes: Annotated[int, _about("Dead workers before a delivery is quarantined")] = 5
    run_timeout: Annotated[float, _about("Longest run of an agent")] = 110.0
    llm_delays: Annotated[str, _about("Waits before each further try at one language model, separated by commas")] = (
        "2,4,8"
    )
    breaker_failures: Annotated[
        int, Meta(description="Failures in a row after which a provider is left out for a tenant", ge=1)
    ] = 5
    breaker_seconds: Annotated[float, _about("How long it is left out before one call tries it")] = 30.0
    write_timeout: Annotated[float, _about("Longest single write to a ticketing tool")] = 18.0
    settle_delay: Annotated[float, _about("Wait before a second look for a write that may have arrived")] = 48.0
    reconcile_delays: Annotated[
        str, _about("Waits before each further look at a note whose write was in doubt, separated by commas")
    ] = "600,86400,86400,86400,86400,86400,86400,86400"
    drain_timeout: Annotated[float, _about("How long a stopping worker lets runs finish")] = 100.0
    runs_per_ticket_hour: Annotated[int, _about("Most runs for one ticket within an hour")] = 3
    log_level: Annotated[str, _about("DEBUG, INFO, WARNING or ERROR")] = "INFO"
    session_hours: Annotated[float, _about("Longest dashboard session, in hours")] = 12.0
    session_idle_minutes: Annotated[float, _about("Longest idle time of a dashboard session, in minutes")] = 30.0
    cookie_secure: Annotated[bool, _about("Send session cookies over https only")] = False
    trusted_proxies: Annotated[
        str, _about("Proxies and dashboards whose X-Forwarded-For is believed: addresses, networks, with commas")
    ] = "127.0.0.1,::1"
    login_failures: Annotated[
        int, Meta(description="Wrong logins from one address within ten minutes before it has to wait", ge=1)
    ] = 30
    requests_per_address: Annotated[
        int, Meta(description="Requests to the API from one address a minute; 0: no limit", ge=0)
    ] = 600
    requests_per_tenant: Annotated[
        int, Meta(description="Requests to the API about one tenant a minute; 0: no limit", ge=0)
    ] = 6000
    require_totp: Annotated[bool, _about("Platform administrators who log in with a password need a second factor")] = (
        False
    )
    smtp_url: Annotated[
        str, _about("Mail server: smtp:// with STARTTLS, smtps:// or smtp+plain:// and user:password@host:port")
    ] = ""
    mail_from: Annotated[str, _about("Sender of mails; needed with AIOPS_SMTP_URL")] = ""
    oidc_issuer: Annotated[str, _about("OpenID Connect provider people may log in through; empty: none")] = ""
    oidc_client_id: Annotated[str, _about("What the provider calls this installation")] = ""
    oidc_client_secret: Annotated[str, _about("Secret given with it; empty for a public client")] = ""
    oidc_name: Annotated[str, _about("What the button of the login page calls the provider")] = "single sign-on"

    @property
    def public_url(self) -> str:
        """The address people and ticketing tools reach the host at, without a trailing slash."""
        return (self.base_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def dashboard_url(self) -> str:
        """The address people reach the dashboard at, without a trailing slash."""
        return (self.admin_url or f"http://{self.admin_host}:{self.admin_port}").rstrip("/")

    @property
    def blocked(self) -> frozenset[str]:
        """Names of plugins not to load."""
        return frozenset(name.strip() for name in self.blocked_plugins.split(",") if name.strip())

    @property
    def look_timeout(self) -> float:
        """Longest look for an effect on its ticket, in seconds: well within the lease it is made under."""
        return self.lease * 2 / 3

    @property
    def backoff(self) -> tuple[float, ...]:
        """Seconds to wait before each retry."""
        return _delays("retry_delays", self.retry_delays)

    @property
    def llm_backoff(self) -> tuple[float, ...]:
        """Seconds to wait before each further try at one language model."""
        return _delays("llm_delays", self.llm_delays)

    @property
    def looks_again(self) -> tuple[float, ...]:
        """Seconds to wait before each further look at a note whose write was in doubt."""
        return _delays("reconcile_delays", self.reconcile_delays)

    def require(self, *fields: str) -> None:
        """Refuse to go on while one of the fields is empty.

        Raises:
            ConfigInvalid: The message names the environment variables to set.
        """
        missing = [PREFIX + field.upper() for field in fields if not getattr(self, field)]
        if missing:
            raise ConfigInvalid(
                f"Set {' and '.join(missing)}; or run `aiops up`, which brings its own servers, and then "
                "export AIOPS_ENV_FILE=<its data folder>/aiops.env."
            )


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from ``AIOPS_*``.

    ``AIOPS_X_FILE`` names a file that holds the value of ``AIOPS_X``; ``AIOPS_ENV_FILE`` one of ``AIOPS_X=value``
    lines, which the environment overrides.

    Raises:
        ConfigInvalid: A value is of the wrong kind, or a file cannot be read; the message names the variable.
    """
    env = os.environ if environ is None else environ
    listed = _env_file(path) if (path := env.get(PREFIX + "ENV_FILE")) else {}
    values: dict[str, str] = {}
    sources: dict[str, str] = {}
    for field in Settings.__struct_fields__:
        name = PREFIX + field.upper()
        for given, source in ((env, ""), (listed, f" in {path}")):
            if name in given:
                values[field], sources[field] = given[name], source
            elif (file := given.get(name + "_FILE")) is not None:
                values[field], sources[field] = _file(name + "_FILE", file), f" in {file}"
            if field in values:
                break
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        field = str(error).rpartition("$.")[2].rstrip("`")
        where = f"{PREFIX}{field.upper()}{sources.get(field, '')}"
        told = explained(str(error).partition(" - at")[0], field, type_info(Settings))[1]
        raise ConfigInvalid(f"{where}: {told.replace(', not a text', '')}") from None
    _ = settings.backoff, settings.looks_again, settings.llm_backoff
    if settings.heartbeat > settings.lease / 2:
        raise ConfigInvalid(f"{PREFIX}HEARTBEAT must be at most half of {PREFIX}LEASE, or live work is taken away.")
    if settings.write_timeout > settings.look_timeout:
        raise ConfigInvalid(
            f"{PREFIX}WRITE_TIMEOUT must be at most two thirds of {PREFIX}LEASE, or writes may overlap."
        )
    return settings


def _delays(field: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise ConfigInvalid(f"{PREFIX}{field.upper()}: must be seconds, separated by commas, such as 2,4,8.") from None


def _env_file(path: str) -> dict[str, str]:
    found = {}
    for number, line in enumerate(_file(PREFIX + "ENV_FILE", path).splitlines(), 1):
        if line.strip()[:1] in ("", "#"):
            continue
        name, separator, value = line.strip().partition("=")
        if not separator or not name.strip().isidentifier():
            raise ConfigInvalid(f"{PREFIX}ENV_FILE: {path}, line {number} is not of the form NAME=value.")
        found[name.strip()] = value
    return found


def _file(variable: str, path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ConfigInvalid(f"{variable}: {error.strerror}: {path}") from None
    except UnicodeDecodeError:
        raise ConfigInvalid(f"{variable}: not UTF-8 text: {path}") from None
