-- Executed once by aiops_owner.
-- What is spent on language models, by whom and up to where.

-- The operator's catalogue: the only addresses a key may go to. A * in the host stands for one label.
create table llm_provider (
    name        text primary key check (name ~ '^[a-z0-9][a-z0-9-]{0,39}$'),
    title       text not null,
    protocol    text not null check (protocol in ('openai', 'azure', 'anthropic')),
    address     text not null check (address ~ '^https?://'),
    api_version text,
    position    integer not null default 100,
    prices      jsonb not null default '{}',
    created_at  timestamptz not null default now()
);
alter table llm_provider enable row level security;
alter table llm_provider force row level security;
create policy catalogue on llm_provider to aiops_owner using (true) with check (true);

insert into llm_provider (name, title, protocol, address, api_version, position) values
    ('openai', 'OpenAI', 'openai', 'https://api.openai.com/v1', null, 10),
    ('azure', 'Azure OpenAI', 'azure', 'https://*.openai.azure.com', '2024-10-21', 20),
    ('anthropic', 'Anthropic', 'anthropic', 'https://api.anthropic.com', null, 30);

create function provider_directory()
returns table (
    name text, title text, protocol text, address text, api_version text, "position" integer, prices jsonb
)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select p.name, p.title, p.protocol, p.address, p.api_version, p.position, p.prices
    from public.llm_provider p order by p.position, p.name
$$;

create function provider_put(
    called text, shown text, speaks text, at text, version text, place integer, costs jsonb
) returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
    insert into public.llm_provider (name, title, protocol, address, api_version, position, prices)
    values (called, shown, speaks, at, version, place, costs)
    on conflict (name) do update set title = excluded.title, protocol = excluded.protocol, address = excluded.address,
        api_version = excluded.api_version, position = excluded.position, prices = excluded.prices
$$;

create function provider_remove(called text) returns boolean
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
    with gone as (delete from public.llm_provider p where p.name = called returning true)
    select exists(select from gone)
$$;

revoke all on function provider_directory, provider_put, provider_remove from public;
grant execute on function provider_directory, provider_put, provider_remove to aiops_app;

-- One key per provider is live; a new one is tried beside it and takes its place when it works.
create table llm_key (
    tenant_id  uuid not null references tenant on delete cascade,
    key_id     uuid not null,
    provider   text not null,
    models     text[] not null check (cardinality(models) between 1 and 5),
    endpoint   text,
    position   integer not null,
    origin     text not null default 'tenant' check (origin in ('tenant', 'operator')),
    state      text not null check (state in ('trying', 'live', 'refused')),
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, key_id)
);
create unique index llm_key_live on llm_key (tenant_id, provider) where state = 'live';

-- The ledger: what was used on a day by an agent of a model. A run's part is added in the run's own transaction.
create table llm_usage (
    tenant_id         uuid not null references tenant on delete cascade,
    day               date not null,
    agent             text not null,
    provider          text not null,
    model             text not null,
    calls             integer not null default 0,
    failures          integer not null default 0,
    prompt_tokens     bigint not null default 0,
    completion_tokens bigint not null default 0,
    cost_usd          numeric(18, 9) not null default 0,
    unpriced_calls    integer not null default 0,
    -- What calls without an answer may have cost at most; budgets count it, bills need not.
    doubtful_tokens   bigint not null default 0,
    doubtful_usd      numeric(18, 9) not null default 0,
    primary key (tenant_id, day, agent, provider, model)
);

-- The tenant sets its own, the operator another; both hold.
create table llm_budget (
    tenant_id uuid not null references tenant on delete cascade,
    set_by    text not null check (set_by in ('tenant', 'operator')),
    period    text not null check (period in ('day', 'month')),
    tokens    bigint check (tokens >= 0),
    usd       numeric(18, 9) check (usd >= 0),
    primary key (tenant_id, set_by, period),
    check (tokens is not null or usd is not null)
);

create table llm_reservation (
    tenant_id      uuid not null references tenant on delete cascade,
    reservation_id uuid not null,
    expires_at     timestamptz not null,
    tokens         bigint not null,
    usd            numeric(18, 9) not null,
    primary key (tenant_id, reservation_id)
);

do $$
declare
    t text;
begin
    foreach t in array array['llm_key', 'llm_usage', 'llm_budget', 'llm_reservation'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format(
            'create policy tenant_rows on %I to aiops_app, aiops_owner '
            'using (tenant_id = (select current_setting(''app.current_tenant_id'')::uuid)) '
            'with check (tenant_id = (select current_setting(''app.current_tenant_id'')::uuid))', t);
        execute format('grant select, insert, update, delete on %I to aiops_app', t);
    end loop;
end $$;

-- Counts changes of a tenant's keys and budgets, so that workers make its backends anew.
alter table plugin_setting drop constraint plugin_setting_kind_check;
alter table plugin_setting add check (kind in ('llm-backend', 'tool', 'agent', 'llm-keys'));

-- How far each budget of the session's tenant is used in its present period. One statement, so that used and reserved
-- are of one moment: what is settled is in exactly one of them.
create function budget_states()
returns table (
    set_by text, period text, starts date, tokens bigint, usd numeric, used_tokens bigint, used_usd numeric,
    reserved_tokens bigint, reserved_usd numeric
)
language sql stable security invoker set search_path = pg_catalog, public, pg_temp as $$
    select b.set_by, b.period, p.starts, b.tokens, b.usd, u.tokens, u.usd, r.tokens, r.usd
    from public.llm_budget b
    cross join lateral (
        select date_trunc(b.period, clock_timestamp() at time zone 'utc')::date as starts
    ) p
    cross join lateral (
        select coalesce(sum(x.prompt_tokens + x.completion_tokens + x.doubtful_tokens), 0)::bigint as tokens,
               coalesce(sum(x.cost_usd + x.doubtful_usd), 0) as usd
        from public.llm_usage x where x.tenant_id = b.tenant_id and x.day >= p.starts
    ) u
    cross join lateral (
        select coalesce(sum(x.tokens), 0)::bigint as tokens, coalesce(sum(x.usd), 0) as usd
        from public.llm_reservation x where x.tenant_id = b.tenant_id and x.expires_at > clock_timestamp()
    ) r
    order by b.set_by, b.period
$$;

-- Puts tokens and money aside if every budget has room for them; in one round trip, outside of any session.
-- Whoever may call it may set that tenant anyway. Reservations of one tenant come one after the other.
create function llm_reserve(
    for_tenant uuid, new_id uuid, wanted_tokens bigint, wanted_usd numeric, lasts interval
)
returns table (
    granted boolean, set_by text, period text, starts date, tokens bigint, usd numeric, used_tokens bigint,
    used_usd numeric, reserved_tokens bigint, reserved_usd numeric
)
language plpgsql security invoker set search_path = pg_catalog, public, pg_temp as $$
declare
    room boolean;
begin
    perform set_config('app.current_tenant_id', for_tenant::text, true);
    perform from public.llm_budget b where b.tenant_id = for_tenant order by b.set_by, b.period for update;
    delete from public.llm_reservation r where r.tenant_id = for_tenant and r.expires_at <= clock_timestamp();
    select coalesce(bool_and(
        (s.tokens is null or s.used_tokens + s.reserved_tokens + wanted_tokens <= s.tokens)
        and (s.usd is null or coalesce(s.used_usd + s.reserved_usd + wanted_usd <= s.usd, false))
    ), true) into room from public.budget_states() s;
    if room then
        insert into public.llm_reservation (tenant_id, reservation_id, expires_at, tokens, usd)
        values (for_tenant, new_id, clock_timestamp() + lasts, wanted_tokens, coalesce(wanted_usd, 0));
    end if;
    return query select room, s.* from public.budget_states() s;
end $$;

-- The budgets of all tenants, for whoever runs the installation; each tenant is read in its own context.
create function budget_overview()
returns table (
    tenant text, set_by text, period text, starts date, tokens bigint, usd numeric, used_tokens bigint,
    used_usd numeric, reserved_tokens bigint, reserved_usd numeric
)
language plpgsql security invoker set search_path = pg_catalog, public, pg_temp as $$
declare
    t record;
begin
    for t in select d.tenant_id, d.slug from public.tenant_directory() d loop
        perform set_config('app.current_tenant_id', t.tenant_id::text, true);
        return query select t.slug, s.* from public.budget_states() s;
    end loop;
end $$;

revoke all on function budget_states, llm_reserve, budget_overview from public;
grant execute on function budget_states, llm_reserve, budget_overview to aiops_app;
