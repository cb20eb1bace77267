-- Executed once by aiops_owner.

-- A tenant that is being deleted loses its rows in small steps; whoever finds the state goes on.
alter table tenant
    add column settings    jsonb not null default '{}',
    add column state_since timestamptz not null default now(),
    drop constraint tenant_state_check,
    add constraint tenant_state_check check (state in ('active', 'suspended', 'deleting'));

-- A deleted connection keeps its row for the history of its deliveries, and gives its name back.
alter table connection
    drop constraint connection_state_check,
    add constraint connection_state_check check (state in ('active', 'paused', 'deleted')),
    drop constraint connection_tenant_id_name_key;
create unique index connection_name on connection (tenant_id, name) where state <> 'deleted';

-- Which networks may post to the endpoint, as CIDRs; none listed: all.
alter table endpoint add column networks text[] not null default '{}';

alter table secret add column last_used_at timestamptz;

-- The last webhooks an endpoint refused: which check, from where, and the names of what was sent; no value of it.
create table refusal (
    tenant_id    uuid not null,
    endpoint_id  text not null,
    refusal_id   bigint not null generated always as identity,
    refused_at   timestamptz not null,
    failed_check text not null,
    detail       text not null,
    address      text,
    header_names text[] not null,
    times        integer not null,
    primary key (tenant_id, endpoint_id, refusal_id),
    foreign key (tenant_id, endpoint_id) references endpoint on delete cascade
);
alter table refusal enable row level security;
alter table refusal force row level security;
create policy tenant_rows on refusal to aiops_app, aiops_owner
    using (tenant_id = (select current_setting('app.current_tenant_id')::uuid))
    with check (tenant_id = (select current_setting('app.current_tenant_id')::uuid));
grant select, insert, update, delete on refusal to aiops_app;

drop function intake_endpoint;
create function intake_endpoint(wanted text)
returns table (
    tenant_id uuid, tenant_state text, connection_id uuid, ticketing_tool text, config jsonb, config_version integer,
    run_on text[], account_id text, secret_versions integer[], secrets bytea[], credential_names text[],
    secret_expiries timestamptz[], networks text[]
)
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    owner_tenant uuid;
begin
    select e.tenant_id into owner_tenant from public.endpoint e where e.endpoint_id = wanted;
    if owner_tenant is null then
        return;
    end if;
    perform set_config('app.current_tenant_id', owner_tenant::text, true);
    return query
        select c.tenant_id, t.state, c.connection_id, c.ticketing_tool, c.config, c.config_version, c.run_on,
               c.account_id, s.versions, s.sealed,
               array(select distinct x.name from public.secret x
                     where x.tenant_id = c.tenant_id and x.owner_kind = 'connection'
                       and x.owner_id = c.connection_id::text),
               s.expiries, e.networks
        from public.endpoint e
        join public.connection c on c.tenant_id = e.tenant_id and c.connection_id = e.connection_id
        join public.tenant t on t.tenant_id = e.tenant_id
        cross join lateral (
            select array_agg(x.version order by x.version desc) as versions,
                   array_agg(x.sealed order by x.version desc) as sealed,
                   array_agg(x.expires_at order by x.version desc) as expiries
            from public.secret x
            where x.tenant_id = e.tenant_id and x.owner_kind = 'endpoint' and x.owner_id = e.endpoint_id
              and (x.expires_at is null or x.expires_at > now())
        ) s
        where e.tenant_id = owner_tenant and e.endpoint_id = wanted;
end $$;

-- Keeps the newest twenty of an endpoint; several processes may record for it side by side.
create function record_refusals(
    at_endpoint text, moments timestamptz[], checks text[], details text[], addresses text[], names text[],
    counts integer[]
) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    owner_tenant uuid;
begin
    select e.tenant_id into owner_tenant from public.endpoint e where e.endpoint_id = at_endpoint;
    if owner_tenant is null then
        return;
    end if;
    perform set_config('app.current_tenant_id', owner_tenant::text, true);
    insert into public.refusal (tenant_id, endpoint_id, refused_at, failed_check, detail, address, header_names, times)
    select owner_tenant, at_endpoint, n.moment, n.failed, n.detail, n.address, string_to_array(n.names, ' '), n.times
    from unnest(moments, checks, details, addresses, names, counts)
        as n(moment, failed, detail, address, names, times);
    delete from public.refusal r
    where r.tenant_id = owner_tenant and r.endpoint_id = at_endpoint and r.refusal_id <= (
        select x.refusal_id from public.refusal x
        where x.tenant_id = owner_tenant and x.endpoint_id = at_endpoint order by x.refusal_id desc offset 20 limit 1
    );
end $$;

-- When a webhook was last signed with a secret that is to be given up.
create function note_secret_use(at_endpoint text, used_version integer, used_at timestamptz) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    owner_tenant uuid;
begin
    select e.tenant_id into owner_tenant from public.endpoint e where e.endpoint_id = at_endpoint;
    if owner_tenant is null then
        return;
    end if;
    perform set_config('app.current_tenant_id', owner_tenant::text, true);
    update public.secret s set last_used_at = greatest(s.last_used_at, used_at)
    where s.tenant_id = owner_tenant and s.owner_kind = 'endpoint' and s.owner_id = at_endpoint
      and s.version = used_version;
end $$;

create or replace function accept_deliveries(
    for_tenant uuid, new_ids uuid[], connections uuid[], endpoints text[], sender_ids text[], second_keys text[],
    heads text[], raws bytea[], schemes text[], signings timestamptz[], tickets text[], kinds text[], actors text[],
    revisions text[], parents text[], actions text[], first_states text[], reasons text[]
)
returns table (delivery_id uuid, fresh boolean)
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    kept uuid[];
begin
    perform set_config('app.current_tenant_id', for_tenant::text, true);
    -- A host may know an address for a minute after its connection was deleted, or its tenant's deletion was begun.
    if exists (select from public.connection c join public.tenant t on t.tenant_id = c.tenant_id
               where c.tenant_id = for_tenant and c.connection_id = any(connections)
                 and (c.state = 'deleted' or t.state = 'deleting')) then
        raise foreign_key_violation using message = 'the connection was deleted';
    end if;
    with stored as (
        insert into public.delivery as d (
            tenant_id, delivery_id, connection_id, endpoint_id, external_id, dedup_key, headers, body, proof_scheme,
            signed_at, ticket_id, kind, actor_id, revision, traceparent, action, state, reason, finished_at
        )
        select for_tenant, n.id, n.connection, n.endpoint, n.sender_id, n.second_key, n.head::jsonb, n.raw, n.scheme,
               n.signed, n.ticket, n.kind, n.actor, n.revision, n.parent, n.action, n.first_state, n.reason,
               case when n.first_state = 'queued' then null else clock_timestamp() end
        from unnest(new_ids, connections, endpoints, sender_ids, second_keys, heads, raws, schemes, signings, tickets,
                    kinds, actors, revisions, parents, actions, first_states, reasons)
            as n(id, connection, endpoint, sender_id, second_key, head, raw, scheme, signed, ticket, kind, actor,
                 revision, parent, action, first_state, reason)
        on conflict do nothing
        returning d.delivery_id
    )
    select coalesce(array_agg(stored.delivery_id), '{}') into kept from stored;
    if cardinality(kept) = cardinality(new_ids) then
        return query select n.id, true from unnest(new_ids) with ordinality as n(id, place) order by n.place;
        return;
    end if;
    -- A statement of its own, because it must see the rows that won a race against the one above.
    return query
        select case when n.id = any(kept) then n.id else coalesce(
                   (select d.delivery_id from public.delivery d
                    where d.tenant_id = for_tenant and d.connection_id = n.connection and d.external_id = n.sender_id),
                   (select d.delivery_id from public.delivery d
                    where d.tenant_id = for_tenant and d.connection_id = n.connection and d.dedup_key = n.second_key)
               ) end,
               n.id = any(kept)
        from unnest(new_ids, connections, sender_ids, second_keys) with ordinality
            as n(id, connection, sender_id, second_key, place)
        order by n.place;
end $$;

revoke all on function intake_endpoint, record_refusals, note_secret_use from public;
grant execute on function intake_endpoint, record_refusals, note_secret_use to aiops_intake;
