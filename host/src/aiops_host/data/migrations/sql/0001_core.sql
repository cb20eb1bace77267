-- Executed once by aiops_owner, who owns every table and has no login.
-- Every tenant table: tenant_id leads each key; ENABLE and FORCE; the policy raises while no tenant is set.

create table tenant (
    tenant_id  uuid primary key,
    slug       text not null unique check (slug ~ '^[a-z0-9][a-z0-9-]{1,62}$'),
    name       text not null,
    state      text not null default 'active' check (state in ('active', 'suspended')),
    created_at timestamptz not null default now()
);

create table connection (
    tenant_id      uuid not null references tenant on delete cascade,
    connection_id  uuid not null,
    name           text not null,
    ticketing_tool text not null,
    config         jsonb not null default '{}',
    config_version integer not null default 1,
    agent          text not null default 'enhance',
    run_on         text[] not null default '{opened}',
    link_hosts     text[] not null default '{}',
    account_id     text,
    state          text not null default 'active' check (state in ('active', 'paused')),
    state_reason   text,
    wait_until     timestamptz,
    created_at     timestamptz not null default now(),
    primary key (tenant_id, connection_id),
    unique (tenant_id, name)
);

create table endpoint (
    tenant_id     uuid not null,
    endpoint_id   text not null check (endpoint_id ~ '^[0-9a-f]{32}$'),
    connection_id uuid not null,
    created_at    timestamptz not null default now(),
    primary key (tenant_id, endpoint_id),
    foreign key (tenant_id, connection_id) references connection on delete cascade
);
-- The look-up by address comes before a tenant is known; the id is 128 random bits.
create index endpoint_by_id on endpoint (endpoint_id);

create table secret (
    tenant_id  uuid not null references tenant on delete cascade,
    owner_kind text not null check (owner_kind in ('connection', 'endpoint', 'llm-backend', 'tool', 'agent')),
    owner_id   text not null,
    name       text not null,
    version    integer not null,
    sealed     bytea not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    primary key (tenant_id, owner_kind, owner_id, name, version)
);

create table plugin_setting (
    tenant_id uuid not null references tenant on delete cascade,
    kind      text not null check (kind in ('llm-backend', 'tool', 'agent')),
    name      text not null,
    position  integer not null default 0,
    enabled   boolean not null default true,
    config    jsonb not null default '{}',
    version   integer not null default 1,
    primary key (tenant_id, kind, name)
);

create table delivery (
    tenant_id     uuid not null,
    delivery_id   uuid not null,
    connection_id uuid not null,
    endpoint_id   text not null,
    external_id   text not null,
    dedup_key     text,
    received_at   timestamptz not null default clock_timestamp(),
    headers       jsonb not null,
    body          bytea not null,
    proof_scheme  text not null,
    signed_at     timestamptz,
    ticket_id     text,
    kind          text,
    actor_id      text,
    revision      text,
    traceparent   text,
    action        text not null default 'none' check (action in ('run', 'learn', 'none')),
    state         text not null check (state in
                      ('queued', 'running', 'posting', 'done', 'ignored', 'quarantined', 'parked', 'dead')),
    reason        text,
    trigger       text not null default 'scheduled' check (trigger in ('scheduled', 'manual')),
    dry_run       boolean not null default false,
    post_again    integer not null default 0,
    attempt       integer not null default 0,
    tries         integer not null default 0,
    crashes       integer not null default 0,
    due_at        timestamptz not null default clock_timestamp(),
    lease_token   bigint not null default 0,
    lease_until   timestamptz,
    worker        text,
    finished_at   timestamptz,
    primary key (tenant_id, delivery_id),
    unique (tenant_id, connection_id, external_id),
    foreign key (tenant_id, connection_id) references connection on delete cascade
);
create unique index delivery_dedup on delivery (tenant_id, connection_id, dedup_key) where dedup_key is not null;
create unique index delivery_one_running on delivery (tenant_id, connection_id, ticket_id) where state = 'running';
create index delivery_due on delivery (tenant_id, due_at) where state = 'queued';
create index delivery_leased on delivery (tenant_id, lease_until) where state = 'running';
create index delivery_unfinished on delivery (tenant_id, received_at) where state in ('queued', 'running', 'posting');
create index delivery_recent on delivery (tenant_id, received_at desc, delivery_id desc);

create table attempt (
    tenant_id   uuid not null,
    delivery_id uuid not null,
    number      integer not null,
    trigger     text not null,
    worker      text not null,
    started_at  timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    outcome     text,
    reason      text,
    primary key (tenant_id, delivery_id, number),
    foreign key (tenant_id, delivery_id) references delivery on delete cascade
);

create table run (
    tenant_id         uuid not null,
    run_id            uuid not null,
    delivery_id       uuid not null,
    attempt           integer not null,
    connection_id     uuid not null,
    ticket_id         text not null,
    agent             text not null,
    agent_version     text not null,
    dry_run           boolean not null default false,
    state             text not null check (state in ('finished', 'failed')),
    error             text,
    started_at        timestamptz not null,
    finished_at       timestamptz not null,
    model             text,
    prompt_tokens     integer not null default 0,
    completion_tokens integer not null default 0,
    cost_usd          numeric(12, 6),
    ticket            jsonb,
    draft             jsonb,
    enhancement       jsonb,
    primary key (tenant_id, run_id),
    foreign key (tenant_id, delivery_id) references delivery on delete cascade
);
create index run_of_delivery on run (tenant_id, delivery_id, started_at);

create table step (
    tenant_id         uuid not null,
    run_id            uuid not null,
    number            integer not null,
    name              text not null,
    started_at        timestamptz not null,
    milliseconds      double precision not null,
    inputs            jsonb not null default '{}',
    outputs           jsonb not null default '{}',
    error             text,
    model             text,
    prompt_tokens     integer not null default 0,
    completion_tokens integer not null default 0,
    cost_usd          numeric(12, 6),
    primary key (tenant_id, run_id, number),
    foreign key (tenant_id, run_id) references run on delete cascade
);

create table effect (
    tenant_id        uuid not null,
    effect_id        uuid not null,
    connection_id    uuid not null,
    ticket_id        text not null,
    kind             text not null default 'note',
    logical_key      text not null,
    delivery_id      uuid not null,
    run_id           uuid not null,
    reference        text not null,
    body             bytea not null,
    body_hash        bytea not null,
    state            text not null check (state in ('planned', 'sending', 'unknown', 'confirmed', 'parked', 'dead')),
    reason           text,
    attempt          integer not null default 0,
    checks           integer not null default 0,
    due_at           timestamptz not null default clock_timestamp(),
    first_attempt_at timestamptz,
    lease_token      bigint not null default 0,
    lease_until      timestamptz,
    worker           text,
    remote_id        text,
    remote_url       text,
    planned_at       timestamptz not null default clock_timestamp(),
    confirmed_at     timestamptz,
    primary key (tenant_id, effect_id),
    unique (tenant_id, connection_id, ticket_id, kind, logical_key),
    unique (tenant_id, reference),
    foreign key (tenant_id, delivery_id) references delivery on delete cascade,
    foreign key (tenant_id, connection_id) references connection on delete cascade
);
create index effect_open on effect (tenant_id, due_at) where state in ('planned', 'sending', 'unknown');
create index effect_doubtful on effect (tenant_id, state) where state in ('unknown', 'parked');
create index effect_of_delivery on effect (tenant_id, delivery_id);

-- How far the import of a connection's past tickets has come, oldest update first.
create table history_import (
    tenant_id     uuid not null,
    connection_id uuid not null,
    since         timestamptz not null,
    reached       timestamptz not null,
    tickets       integer not null default 0,
    finished_at   timestamptz,
    primary key (tenant_id, connection_id),
    foreign key (tenant_id, connection_id) references connection on delete cascade
);

create table membership (
    tenant_id uuid not null references tenant on delete cascade,
    user_id   uuid not null,
    role      text not null check (role in ('tenant-admin', 'technician', 'read-only')),
    primary key (tenant_id, user_id)
);

-- People and their sessions belong to no tenant; the application role reaches them by functions only.
create table app_user (
    user_id        uuid primary key,
    email          text not null unique check (email = lower(email)),
    password_hash  text not null,
    platform_admin boolean not null default false,
    failures       integer not null default 0,
    locked_until   timestamptz,
    created_at     timestamptz not null default now()
);
alter table membership add foreign key (user_id) references app_user on delete cascade;

create table web_session (
    token_hash   bytea primary key,
    user_id      uuid not null references app_user on delete cascade,
    created_at   timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    expires_at   timestamptz not null
);

do $$
declare
    t text;
begin
    foreach t in array array['tenant', 'connection', 'endpoint', 'secret', 'plugin_setting', 'delivery', 'attempt',
                             'run', 'step', 'effect', 'history_import', 'membership'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format(
            'create policy tenant_rows on %I to aiops_app, aiops_owner '
            'using (tenant_id = (select current_setting(''app.current_tenant_id'')::uuid)) '
            'with check (tenant_id = (select current_setting(''app.current_tenant_id'')::uuid))', t);
        execute format('grant select, insert, update, delete on %I to aiops_app', t);
    end loop;
end $$;

alter table app_user enable row level security;
alter table app_user force row level security;
create policy people on app_user to aiops_owner using (true) with check (true);
alter table web_session enable row level security;
alter table web_session force row level security;
create policy sessions on web_session to aiops_owner using (true) with check (true);

-- Look-ups before a tenant is known, done by functions of the owner.
create policy look_up on tenant for select to aiops_owner using (true);
create policy look_up on endpoint for select to aiops_owner using (true);
create policy look_up on membership for select to aiops_owner using (true);

-- The sweeper sees which work is due in any tenant, and nothing of what the work is about.
create policy sweep on tenant for select to aiops_sweeper using (true);
create policy sweep on connection for select to aiops_sweeper using (true);
create policy sweep on delivery for select to aiops_sweeper using (true);
create policy sweep on effect for select to aiops_sweeper using (true);
grant select (tenant_id, state) on tenant to aiops_sweeper;
grant select (tenant_id, connection_id, state, wait_until) on connection to aiops_sweeper;
grant select (tenant_id, delivery_id, connection_id, state, received_at, due_at, lease_until) on delivery to aiops_sweeper;
grant select (tenant_id, effect_id, connection_id, state, planned_at, due_at, lease_until) on effect to aiops_sweeper;

create function intake_endpoint(wanted text)
returns table (
    tenant_id uuid, tenant_state text, connection_id uuid, ticketing_tool text, config jsonb, config_version integer,
    run_on text[], account_id text, secret_versions integer[], secrets bytea[], credential_names text[]
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
                       and x.owner_id = c.connection_id::text)
        from public.endpoint e
        join public.connection c on c.tenant_id = e.tenant_id and c.connection_id = e.connection_id
        join public.tenant t on t.tenant_id = e.tenant_id
        cross join lateral (
            select array_agg(x.version order by x.version desc) as versions,
                   array_agg(x.sealed order by x.version desc) as sealed
            from public.secret x
            where x.tenant_id = e.tenant_id and x.owner_kind = 'endpoint' and x.owner_id = e.endpoint_id
              and (x.expires_at is null or x.expires_at > now())
        ) s
        where e.tenant_id = owner_tenant and e.endpoint_id = wanted;
end $$;

create function accept_delivery(
    for_tenant uuid, new_id uuid, for_connection uuid, at_endpoint text, sender_id text, second_key text,
    head jsonb, raw bytea, scheme text, signed timestamptz, about text, what text, who text, rev text,
    parent text, todo text, first_state text, why text
)
returns table (delivery_id uuid, fresh boolean)
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    kept uuid;
begin
    perform set_config('app.current_tenant_id', for_tenant::text, true);
    insert into public.delivery as d (
        tenant_id, delivery_id, connection_id, endpoint_id, external_id, dedup_key, headers, body, proof_scheme,
        signed_at, ticket_id, kind, actor_id, revision, traceparent, action, state, reason, finished_at
    ) values (
        for_tenant, new_id, for_connection, at_endpoint, sender_id, second_key, head, raw, scheme,
        signed, about, what, who, rev, parent, todo, first_state, why,
        case when first_state = 'queued' then null else clock_timestamp() end
    ) on conflict do nothing returning d.delivery_id into kept;
    if kept is not null then
        return query select kept, true;
        return;
    end if;
    select d.delivery_id into kept from public.delivery d
    where d.tenant_id = for_tenant and d.connection_id = for_connection and d.external_id = sender_id;
    if kept is null and second_key is not null then
        select d.delivery_id into kept from public.delivery d
        where d.tenant_id = for_tenant and d.connection_id = for_connection and d.dedup_key = second_key;
    end if;
    return query select kept, false;
end $$;

create function login_candidate(wanted text)
returns table (user_id uuid, password_hash text, locked boolean)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select u.user_id, u.password_hash, coalesce(u.locked_until > clock_timestamp(), false) from public.app_user u where u.email = lower(wanted)
$$;

create function login_failed(who uuid) returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
    update public.app_user set failures = failures + 1,
        locked_until = case when failures >= 4
            then clock_timestamp() + least(900, 30 * 2 ^ least(failures - 4, 5)) * interval '1 second' end
    where user_id = who
$$;

create function session_open(token bytea, who uuid, lifetime interval) returns timestamptz
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    delete from public.web_session s where s.expires_at < now();
    update public.app_user u set failures = 0, locked_until = null where u.user_id = who;
    insert into public.web_session (token_hash, user_id, expires_at) values (token, who, now() + lifetime);
    return now() + lifetime;
end $$;

-- One row per membership; one row with no tenant for a person without any.
create function session_find(token bytea, idle interval)
returns table (user_id uuid, email text, platform_admin boolean, tenant_id uuid, tenant_slug text, role text)
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    update public.web_session s set last_seen_at = now()
    where s.token_hash = token and s.last_seen_at < now() - interval '30 seconds'
      and s.last_seen_at > now() - idle and s.expires_at > now();
    return query
        select u.user_id, u.email, u.platform_admin, m.tenant_id, t.slug, m.role
        from public.web_session s
        join public.app_user u on u.user_id = s.user_id
        left join public.membership m on m.user_id = s.user_id
        left join public.tenant t on t.tenant_id = m.tenant_id
        where s.token_hash = token and s.expires_at > now() and s.last_seen_at > now() - idle
        order by t.slug;
end $$;

create function session_close(token bytea) returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
    delete from public.web_session where token_hash = token
$$;

create function user_put(new_id uuid, address text, hashed text, is_admin boolean) returns uuid
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    kept uuid;
begin
    insert into public.app_user as u (user_id, email, password_hash, platform_admin)
    values (new_id, lower(address), hashed, is_admin)
    on conflict (email) do update set password_hash = excluded.password_hash, failures = 0, locked_until = null,
        platform_admin = u.platform_admin or excluded.platform_admin
    returning u.user_id into kept;
    -- A new password ends the sessions that were opened with the old one.
    delete from public.web_session s where s.user_id = kept;
    return kept;
end $$;

create function tenant_directory()
returns table (tenant_id uuid, slug text, name text, state text, created_at timestamptz)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select t.tenant_id, t.slug, t.name, t.state, t.created_at from public.tenant t order by t.slug
$$;

revoke all on all functions in schema public from public;
grant execute on function intake_endpoint, accept_delivery to aiops_intake;
grant execute on function login_candidate, login_failed, session_open, session_find, session_close, user_put,
    tenant_directory to aiops_app;
