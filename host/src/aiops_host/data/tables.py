"""The tables as Piccolo queries them, always inside a tenant session.

The migrations are SQL, because Piccolo has no composite keys; each class names the key's own column as its primary
key. A test compares these classes with the catalog.
"""

from __future__ import annotations

from typing import Any

from piccolo.columns import (
    UUID,
    Array,
    BigInt,
    Boolean,
    Bytea,
    Column,
    DoublePrecision,
    Integer,
    Numeric,
    Text,
    Timestamptz,
)
from piccolo.table import Table

from aiops_host.data.engine import ENGINE


class Document(Column):
    """A ``jsonb`` column whose values are builtins; the connection's codec encodes them once."""

    value_type = dict

    @property
    def column_type(self) -> str:
        """The type's name in PostgreSQL."""
        return "JSONB"

    def __init__(self, **kwargs: Any) -> None:
        """Take Piccolo's own column options."""
        kwargs.setdefault("default", None)
        super().__init__(**kwargs)


class Tenant(Table, tablename="tenant", db=ENGINE):
    """A customer organisation."""

    tenant_id = UUID(primary_key=True)
    slug = Text()
    name = Text()
    state = Text(default="active")
    created_at = Timestamptz()
    settings = Document()
    state_since = Timestamptz()


class Connection(Table, tablename="connection", db=ENGINE):
    """One tenant's configured ticketing tool."""

    tenant_id = UUID()
    connection_id = UUID(primary_key=True)
    name = Text()
    ticketing_tool = Text()
    config = Document()
    config_version = Integer(default=1)
    agent = Text(default="enhance")
    run_on = Array(base_column=Text())
    link_hosts = Array(base_column=Text())
    account_id = Text(null=True, default=None)
    state = Text(default="active")
    state_reason = Text(null=True, default=None)
    wait_until = Timestamptz(null=True, default=None)
    created_at = Timestamptz()


class Endpoint(Table, tablename="endpoint", db=ENGINE):
    """The webhook address of a connection."""

    tenant_id = UUID()
    endpoint_id = Text(primary_key=True)
    connection_id = UUID()
    created_at = Timestamptz()
    networks = Array(base_column=Text())


class StoredSecret(Table, tablename="secret", db=ENGINE):
    """One version of a sealed secret; ``purpose`` and ``key_version`` are what its seal says."""

    tenant_id = UUID()
    owner_kind = Text()
    owner_id = Text()
    name = Text(primary_key=True)
    version = Integer()
    sealed = Bytea()
    purpose = Text()
    key_version = Integer()
    created_at = Timestamptz()
    expires_at = Timestamptz(null=True, default=None)
    last_used_at = Timestamptz(null=True, default=None)


class DataKey(Table, tablename="data_key", db=ENGINE):
    """One version of a wrapped data key."""

    tenant_id = UUID()
    purpose = Text(primary_key=True)
    version = Integer()
    provider = Text()
    key_id = Text()
    wrapped = Bytea()
    state = Text(default="current")
    created_at = Timestamptz()


class PluginSetting(Table, tablename="plugin_setting", db=ENGINE):
    """A tenant's configuration of an LLM backend, a tool or an agent."""

    tenant_id = UUID()
    kind = Text()
    name = Text(primary_key=True)
    position = Integer(default=0)
    enabled = Boolean(default=True)
    config = Document()
    version = Integer(default=1)


class Delivery(Table, tablename="delivery", db=ENGINE):
    """One inbound webhook as received, and how far its work has come."""

    tenant_id = UUID()
    delivery_id = UUID(primary_key=True)
    connection_id = UUID()
    endpoint_id = Text()
    external_id = Text()
    dedup_key = Text(null=True, default=None)
    received_at = Timestamptz()
    headers = Document()
    body = Bytea()
    proof_scheme = Text()
    signed_at = Timestamptz(null=True, default=None)
    ticket_id = Text(null=True, default=None)
    kind = Text(null=True, default=None)
    actor_id = Text(null=True, default=None)
    revision = Text(null=True, default=None)
    traceparent = Text(null=True, default=None)
    action = Text(default="none")
    state = Text()
    reason = Text(null=True, default=None)
    trigger = Text(default="scheduled")
    dry_run = Boolean(default=False)
    before_dry_run = Document(null=True)
    post_again = Integer(default=0)
    attempt = Integer(default=0)
    tries = Integer(default=0)
    crashes = Integer(default=0)
    due_at = Timestamptz()
    lease_token = BigInt(default=0)
    lease_until = Timestamptz(null=True, default=None)
    worker = Text(null=True, default=None)
    finished_at = Timestamptz(null=True, default=None)


class Attempt(Table, tablename="attempt", db=ENGINE):
    """One try at a delivery."""

    tenant_id = UUID()
    delivery_id = UUID(primary_key=True)
    number = Integer()
    trigger = Text()
    worker = Text()
    started_at = Timestamptz()
    finished_at = Timestamptz(null=True, default=None)
    outcome = Text(null=True, default=None)
    reason = Text(null=True, default=None)


class Run(Table, tablename="run", db=ENGINE):
    """One agent execution for one ticket."""

    tenant_id = UUID()
    run_id = UUID(primary_key=True)
    delivery_id = UUID()
    attempt = Integer()
    connection_id = UUID()
    ticket_id = Text()
    agent = Text()
    agent_version = Text()
    dry_run = Boolean(default=False)
    state = Text()
    error = Text(null=True, default=None)
    started_at = Timestamptz()
    finished_at = Timestamptz()
    model = Text(null=True, default=None)
    prompt_tokens = Integer(default=0)
    completion_tokens = Integer(default=0)
    cost_usd = Numeric(null=True, default=None)
    ticket = Document(null=True)
    draft = Document(null=True)
    enhancement = Document(null=True)


class Step(Table, tablename="step", db=ENGINE):
    """One timed part of a run."""

    tenant_id = UUID()
    run_id = UUID(primary_key=True)
    number = Integer()
    name = Text()
    started_at = Timestamptz()
    milliseconds = DoublePrecision()
    inputs = Document()
    outputs = Document()
    error = Text(null=True, default=None)
    model = Text(null=True, default=None)
    prompt_tokens = Integer(default=0)
    completion_tokens = Integer(default=0)
    cost_usd = Numeric(null=True, default=None)


class Effect(Table, tablename="effect", db=ENGINE):
    """One intended write to a ticket."""

    tenant_id = UUID()
    effect_id = UUID(primary_key=True)
    connection_id = UUID()
    ticket_id = Text()
    kind = Text(default="note")
    logical_key = Text()
    delivery_id = UUID()
    run_id = UUID()
    reference = Text()
    body = Bytea()
    body_hash = Bytea()
    state = Text()
    reason = Text(null=True, default=None)
    attempt = Integer(default=0)
    checks = Integer(default=0)
    due_at = Timestamptz()
    first_attempt_at = Timestamptz(null=True, default=None)
    lease_token = BigInt(default=0)
    lease_until = Timestamptz(null=True, default=None)
    worker = Text(null=True, default=None)
    remote_id = Text(null=True, default=None)
    remote_url = Text(null=True, default=None)
    planned_at = Timestamptz()
    confirmed_at = Timestamptz(null=True, default=None)
    reconcile_at = Timestamptz(null=True, default=None)
    reconciles = Integer(default=0)


class HistoryImport(Table, tablename="history_import", db=ENGINE):
    """How far the import of a connection's past tickets has come."""

    tenant_id = UUID()
    connection_id = UUID(primary_key=True)
    since = Timestamptz()
    reached = Timestamptz()
    tickets = Integer(default=0)
    finished_at = Timestamptz(null=True, default=None)


class Membership(Table, tablename="membership", db=ENGINE):
    """A person's role in a tenant."""

    tenant_id = UUID()
    user_id = UUID(primary_key=True)
    role = Text()
    since = Timestamptz()


class Invitation(Table, tablename="invitation", db=ENGINE):
    """An invitation into a tenant that nobody has accepted yet."""

    tenant_id = UUID()
    invitation_id = UUID(primary_key=True)
    email = Text()
    role = Text()
    token_hash = Bytea()
    invited_by = Text()
    shown = Boolean(default=False)
    created_at = Timestamptz()
    expires_at = Timestamptz()


class Probe(Table, tablename="probe", db=ENGINE):
    """A test that a worker makes for a person."""

    tenant_id = UUID()
    probe_id = UUID(primary_key=True)
    kind = Text()
    target = Text()
    state = Text(default="queued")
    result = Text(null=True, default=None)
    tries = Integer(default=0)
    asked_at = Timestamptz()
    lease_token = BigInt(default=0)
    lease_until = Timestamptz(null=True, default=None)
    worker = Text(null=True, default=None)
    finished_at = Timestamptz(null=True, default=None)


TABLES: tuple[type[Table], ...] = (
    Probe,
    Tenant,
    Connection,
    Endpoint,
    StoredSecret,
    DataKey,
    PluginSetting,
    Delivery,
    Attempt,
    Run,
    Step,
    Effect,
    HistoryImport,
    Membership,
    Invitation,
)
