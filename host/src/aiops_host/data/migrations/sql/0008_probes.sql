-- Executed once by aiops_owner.
-- What only a worker may try, because only there credentials open: asked for by host or command, answered in a sentence.
create table probe (
    tenant_id   uuid not null references tenant on delete cascade,
    probe_id    uuid not null,
    kind        text not null check (kind ~ '^[a-z][a-z-]{0,39}$'),
    target      text not null,
    state       text not null default 'queued' check (state in ('queued', 'running', 'ok', 'failed')),
    result      text,
    tries       integer not null default 0,
    asked_at    timestamptz not null default clock_timestamp(),
    lease_token bigint not null default 0,
    lease_until timestamptz,
    worker      text,
    finished_at timestamptz,
    primary key (tenant_id, probe_id)
);
create index probe_open on probe (tenant_id, asked_at) where state in ('queued', 'running');
create index probe_of_target on probe (tenant_id, kind, target, asked_at desc);

alter table probe enable row level security;
alter table probe force row level security;
create policy tenant_rows on probe to aiops_app, aiops_owner
    using (tenant_id = (select current_setting('app.current_tenant_id')::uuid))
    with check (tenant_id = (select current_setting('app.current_tenant_id')::uuid));
grant select, insert, update, delete on probe to aiops_app;

create policy sweep on probe for select to aiops_sweeper using (true);
grant select (tenant_id, probe_id, state, asked_at, lease_until) on probe to aiops_sweeper;
