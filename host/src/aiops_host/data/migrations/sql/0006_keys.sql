-- Data keys, wrapped by the key provider. No foreign key to tenant: the keys of tenant 0 are the installation's own,
-- and a tenant's are destroyed before its rows are.
create table data_key (
    tenant_id  uuid not null,
    purpose    text not null check (purpose in ('webhook', 'credentials', 'login')),
    version    integer not null check (version > 0),
    provider   text not null,
    key_id     text not null,
    wrapped    bytea not null,
    state      text not null default 'current' check (state in ('current', 'retiring')),
    created_at timestamptz not null default now(),
    primary key (tenant_id, purpose, version)
);
create unique index data_key_current on data_key (tenant_id, purpose) where state = 'current';

alter table data_key enable row level security;
alter table data_key force row level security;
create policy tenant_rows on data_key to aiops_app, aiops_owner
    using (tenant_id = (select current_setting('app.current_tenant_id')::uuid))
    with check (tenant_id = (select current_setting('app.current_tenant_id')::uuid));
grant select, insert, update, delete on data_key to aiops_app;

-- Which data key a secret is sealed under stands in the seal's own head: read there, so that no column can disagree
-- with it. The key cannot go while a secret needs it.
truncate secret;
-- A new foreign key is validated by a query, which the tenants' policy refuses while no tenant is set.
select set_config('app.current_tenant_id', '00000000-0000-0000-0000-000000000000', true);
alter table secret
    add column purpose text not null generated always as (
        case get_byte(sealed, 4) when 1 then 'webhook' when 2 then 'credentials' end) stored,
    add column key_version integer not null generated always as (
        (get_byte(sealed, 5) << 24) | (get_byte(sealed, 6) << 16) | (get_byte(sealed, 7) << 8) | get_byte(sealed, 8)
    ) stored,
    add check (substr(sealed, 1, 4) = 'AOS1'::bytea),
    add check ((purpose = 'webhook') = (owner_kind = 'endpoint')),
    add foreign key (tenant_id, purpose, key_version) references data_key;
create index secret_by_key on secret (tenant_id, purpose, key_version);

-- One constant, made here: what binds every wrapped key to this installation.
do $$
begin
    execute format(
        'create function installation_id() returns uuid language sql immutable parallel safe as $f$select %L::uuid$f$',
        gen_random_uuid());
end $$;
revoke all on function installation_id from public;
grant execute on function installation_id to aiops_app;
