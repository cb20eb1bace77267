-- Executed once by aiops_owner.
-- The trail of administrative acts and decryptions: appended by one function, never changed, one chain of hashes per
-- tenant. The platform's own chain has the nil UUID. No foreign key: the trail outlives the tenant.

create table audit_head (
    tenant_id uuid primary key,
    number    bigint not null,
    hash      bytea not null
);

create table audit_entry (
    tenant_id  uuid not null,
    number     bigint not null check (number > 0),
    at         timestamptz not null,
    actor_kind text not null check (actor_kind in ('person', 'token', 'operator', 'part', 'stranger')),
    actor      text not null,
    actor_id   text not null,
    act        text not null check (act ~ '^[a-z-]+\.[a-z-]+$'),
    subject    text not null,
    details    jsonb not null,
    hash       bytea not null,
    primary key (tenant_id, number)
);
create index audit_entry_by_act on audit_entry (tenant_id, act, number);

do $$
declare
    t text;
begin
    foreach t in array array['audit_head', 'audit_entry'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format(
            'create policy tenant_rows on %I to aiops_app, aiops_owner '
            'using (tenant_id = (select current_setting(''app.current_tenant_id'')::uuid)) '
            'with check (tenant_id = (select current_setting(''app.current_tenant_id'')::uuid))', t);
        execute format('grant select on %I to aiops_app', t);
    end loop;
end $$;
create policy look_up on audit_head for select to aiops_owner using (true);

create function audit_refuse() returns trigger
language plpgsql set search_path = pg_catalog, public, pg_temp as $$
begin
    raise exception 'The audit trail is only ever appended to.' using errcode = 'insufficient_privilege';
end $$;
create trigger append_only before update or delete or truncate on audit_entry
    for each statement execute function audit_refuse();

-- Every part after its length, so that no two entries read alike.
create function audit_hash(before bytea, parts text[]) returns bytea
language sql immutable set search_path = pg_catalog, public, pg_temp as $$
    select sha256(before || convert_to(
        (select string_agg(octet_length(p) || ':' || p, '' order by place)
         from unnest(parts) with ordinality as x(p, place)), 'UTF8'))
$$;

create function audit_append(
    for_tenant uuid, kinds text[], actors text[], ids text[], acts text[], subjects text[], facts text[]
)
returns table (number bigint, hash bytea)
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    outside text := coalesce(current_setting('app.current_tenant_id', true), '');
    last_number bigint;
    last_hash bytea;
    moment timestamptz;
    said jsonb;
begin
    if outside not in ('', for_tenant::text) and for_tenant <> '00000000-0000-0000-0000-000000000000' then
        raise exception 'The session of one tenant cannot write into the trail of another.'
            using errcode = 'insufficient_privilege';
    end if;
    perform set_config('app.current_tenant_id', for_tenant::text, true);
    insert into public.audit_head as h (tenant_id, number, hash) values (for_tenant, 0, '')
    on conflict do nothing;
    -- Whoever appends waits for whoever appended and has not committed yet: a chain has no forks and no gaps.
    select h.number, h.hash into last_number, last_hash from public.audit_head h
    where h.tenant_id = for_tenant for update;
    for i in 1 .. cardinality(acts) loop
        last_number := last_number + 1;
        moment := clock_timestamp();
        said := facts[i]::jsonb;
        last_hash := public.audit_hash(last_hash, array[
            for_tenant::text, last_number::text, (extract(epoch from moment) * 1000000)::bigint::text,
            kinds[i], actors[i], ids[i], acts[i], subjects[i], said::text]);
        insert into public.audit_entry
        values (for_tenant, last_number, moment, kinds[i], actors[i], ids[i], acts[i], subjects[i], said, last_hash);
    end loop;
    update public.audit_head as h set number = last_number, hash = last_hash where h.tenant_id = for_tenant;
    perform set_config('app.current_tenant_id', outside, true);
    return query select last_number, last_hash;
end $$;

-- The chains there are, those of tenants that are gone included.
create function audit_chains()
returns table (tenant_id uuid)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select h.tenant_id from public.audit_head h order by h.tenant_id
$$;

revoke all on function audit_refuse, audit_hash, audit_append, audit_chains from public;
grant execute on function audit_append, audit_chains to aiops_app;

-- What of people a tenant keeps from models; it stands beside the other settings, so that a change is noticed like theirs.
alter table plugin_setting drop constraint plugin_setting_kind_check;
alter table plugin_setting add check (kind in ('llm-backend', 'tool', 'agent', 'llm-keys', 'privacy'));
