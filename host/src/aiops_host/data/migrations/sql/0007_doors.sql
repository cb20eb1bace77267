-- Executed once by aiops_owner.
-- What people come in with: sessions that can be listed, API tokens, second factors, a provider's word.

-- email_proven: only the person themself can have chosen the password. Where an administrator was shown the link it was
-- chosen with, it is taken away when somebody proves the address at an OpenID Connect provider.
alter table app_user
    add column active boolean not null default true,
    add column email_proven boolean not null default true,
    add column oidc_issuer text,
    add column oidc_subject text,
    add constraint app_user_oidc unique (oidc_issuer, oidc_subject);

alter table web_session
    add column session_id uuid not null default gen_random_uuid() unique,
    add column method text not null default 'password' check (method in ('password', 'oidc')),
    add column address text not null default '',
    add column agent text not null default '';
create index web_session_of_person on web_session (user_id);

create table second_factor (
    user_id      uuid primary key references app_user on delete cascade,
    sealed       bytea not null,
    version      integer not null,
    confirmed_at timestamptz,
    last_step    bigint not null default 0
);
create table recovery_code (
    user_id   uuid not null references app_user on delete cascade,
    code_hash bytea not null,
    primary key (user_id, code_hash)
);
create table api_token (
    token_id     uuid primary key,
    token_hash   bytea not null unique,
    user_id      uuid not null references app_user on delete cascade,
    only_tenant  uuid references tenant on delete cascade,
    name         text not null,
    hint         text not null,
    role         text not null check (role in ('platform-admin', 'tenant-admin', 'technician', 'read-only')),
    permissions  text[],
    created_at   timestamptz not null default now(),
    expires_at   timestamptz not null,
    last_used_at timestamptz
);
create index api_token_of_person on api_token (user_id, created_at);
create index api_token_of_tenant on api_token (only_tenant, created_at);

do $$
declare
    t text;
begin
    foreach t in array array['second_factor', 'recovery_code', 'api_token'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy doors on %I to aiops_owner using (true) with check (true)', t);
    end loop;
end $$;

drop function login_candidate, session_open, session_find;

create function login_candidate(wanted text)
returns table (user_id uuid, email text, password_hash text, locked boolean, active boolean, second_factor boolean)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select u.user_id, u.email, u.password_hash, coalesce(u.locked_until > clock_timestamp(), false), u.active,
           exists(select 1 from public.second_factor f where f.user_id = u.user_id and f.confirmed_at is not null)
    from public.app_user u where u.email = lower(wanted)
$$;

-- Nothing for a person who was deactivated in the meantime.
create function session_open(token bytea, who uuid, lifetime interval, how text, came_from text, came_with text)
returns timestamptz
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    delete from public.web_session s where s.expires_at < now();
    update public.app_user u set failures = 0, locked_until = null where u.user_id = who and u.active;
    if not found then
        return null;
    end if;
    insert into public.web_session (token_hash, user_id, expires_at, method, address, agent)
    values (token, who, now() + lifetime, how, came_from, came_with);
    return now() + lifetime;
end $$;

-- One row per membership; one row with no tenant for a person without any.
create function session_find(token bytea, idle interval)
returns table (user_id uuid, email text, platform_admin boolean, second_factor boolean, session_id uuid, method text,
               tenant_id uuid, tenant_slug text, role text)
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    update public.web_session s set last_seen_at = now()
    where s.token_hash = token and s.last_seen_at < now() - interval '30 seconds'
      and s.last_seen_at > now() - idle and s.expires_at > now();
    return query
        select u.user_id, u.email, u.platform_admin,
               exists(select 1 from public.second_factor f where f.user_id = u.user_id and f.confirmed_at is not null),
               s.session_id, s.method, m.tenant_id, t.slug, m.role
        from public.web_session s
        join public.app_user u on u.user_id = s.user_id
        left join public.membership m on m.user_id = s.user_id
        left join public.tenant t on t.tenant_id = m.tenant_id
        where s.token_hash = token and s.expires_at > now() and s.last_seen_at > now() - idle and u.active
        order by t.slug;
end $$;

-- The same of who has an address, for operators.
create function person_find(address text)
returns table (user_id uuid, email text, platform_admin boolean, second_factor boolean, tenant_id uuid,
               tenant_slug text, role text)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select u.user_id, u.email, u.platform_admin,
           exists(select 1 from public.second_factor f where f.user_id = u.user_id and f.confirmed_at is not null),
           m.tenant_id, t.slug, m.role
    from public.app_user u
    left join public.membership m on m.user_id = u.user_id
    left join public.tenant t on t.tenant_id = m.tenant_id
    where u.email = lower(address) order by t.slug
$$;

create function session_list(who uuid, idle interval)
returns table (session_id uuid, method text, address text, agent text, created_at timestamptz,
               last_seen_at timestamptz, expires_at timestamptz)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select s.session_id, s.method, s.address, s.agent, s.created_at, s.last_seen_at, s.expires_at
    from public.web_session s
    where s.user_id = who and s.expires_at > now() and s.last_seen_at > now() - idle
    order by s.last_seen_at desc, s.session_id
$$;

-- Ends one session of a person, or all of them; returns how many.
create function session_end(who uuid, which uuid) returns integer
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    ended integer;
begin
    delete from public.web_session s where s.user_id = who and (which is null or s.session_id = which);
    get diagnostics ended = row_count;
    return ended;
end $$;

create function token_put(
    new_id uuid, hashed bytea, who uuid, for_tenant uuid, called text, shown text, as_role text, allowed text[],
    lifetime interval
) returns timestamptz
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
    insert into public.api_token
        (token_id, token_hash, user_id, only_tenant, name, hint, role, permissions, expires_at)
    values (new_id, hashed, who, for_tenant, called, shown, as_role, allowed, now() + lifetime) returning expires_at
$$;

create function token_find(hashed bytea)
returns table (user_id uuid, email text, platform_admin boolean, second_factor boolean, token_id uuid,
               token_tenant uuid, token_role text, token_permissions text[], tenant_id uuid, tenant_slug text, role text)
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    update public.api_token k set last_used_at = now()
    where k.token_hash = hashed and k.expires_at > now()
      and (k.last_used_at is null or k.last_used_at < now() - interval '30 seconds');
    return query
        select u.user_id, u.email, u.platform_admin,
               exists(select 1 from public.second_factor f where f.user_id = u.user_id and f.confirmed_at is not null),
               k.token_id, k.only_tenant, k.role, k.permissions, m.tenant_id, t.slug, m.role
        from public.api_token k
        join public.app_user u on u.user_id = k.user_id
        left join public.membership m on m.user_id = k.user_id
        left join public.tenant t on t.tenant_id = m.tenant_id
        where k.token_hash = hashed and k.expires_at > now() and u.active
        order by t.slug;
end $$;

-- A person's own tokens, or those that reach a tenant; newest first.
create function token_list(who uuid, of_tenant uuid, past_at timestamptz, past_id uuid, upto integer)
returns table (token_id uuid, email text, tenant_slug text, name text, hint text, role text, permissions text[],
               created_at timestamptz, expires_at timestamptz, last_used_at timestamptz)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select k.token_id, u.email, t.slug, k.name, k.hint, k.role, k.permissions, k.created_at, k.expires_at,
           k.last_used_at
    from public.api_token k
    join public.app_user u on u.user_id = k.user_id
    left join public.tenant t on t.tenant_id = k.only_tenant
    where (who is null or k.user_id = who) and (of_tenant is null or k.only_tenant = of_tenant)
      and (past_at is null or (k.created_at, k.token_id) < (past_at, past_id))
    order by k.created_at desc, k.token_id desc limit upto
$$;

create function token_drop(which uuid, who uuid, of_tenant uuid) returns text
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
    delete from public.api_token k
    where k.token_id = which and (who is null or k.user_id = who) and (of_tenant is null or k.only_tenant = of_tenant)
    returning k.name
$$;

create function factor_begin(who uuid, new_seal bytea, new_version integer) returns boolean
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
    insert into public.second_factor as f (user_id, sealed, version) values (who, new_seal, new_version)
    on conflict (user_id) do update set sealed = excluded.sealed, version = excluded.version, last_step = 0
    where f.confirmed_at is null
    returning true
$$;

create function factor_find(who uuid) returns table (sealed bytea, version integer, confirmed_at timestamptz, codes bigint)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select f.sealed, f.version, f.confirmed_at,
           (select count(*) from public.recovery_code r where r.user_id = f.user_id)
    from public.second_factor f where f.user_id = who
$$;

-- A code is good for its step once: whoever reads it over a shoulder, or off the wire, comes too late.
create function factor_step(who uuid, step bigint) returns boolean
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
    update public.second_factor f set last_step = step, confirmed_at = coalesce(f.confirmed_at, now())
    where f.user_id = who and f.last_step < step returning true
$$;

create function recovery_put(who uuid, hashes bytea[]) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    delete from public.recovery_code r where r.user_id = who;
    insert into public.recovery_code (user_id, code_hash) select who, h from unnest(hashes) h;
end $$;

create function recovery_use(who uuid, hashed bytea) returns boolean
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
    delete from public.recovery_code r where r.user_id = who and r.code_hash = hashed returning true
$$;

create function factor_remove(who uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    delete from public.recovery_code r where r.user_id = who;
    delete from public.second_factor f where f.user_id = who;
    return found;
end $$;

-- Binds a person to the provider's name for them, once. A password that somebody else may know goes with what it
-- opened: the address is the person's own only from now on.
create function oidc_person(the_issuer text, the_subject text, address text)
returns table (user_id uuid, email text, fresh boolean)
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    who uuid;
    bound boolean := false;
begin
    select u.user_id into who from public.app_user u
    where u.oidc_issuer = the_issuer and u.oidc_subject = the_subject;
    if who is null then
        update public.app_user u set oidc_issuer = the_issuer, oidc_subject = the_subject
        where u.email = lower(address) and u.oidc_subject is null and u.active returning u.user_id into who;
        bound := who is not null;
        if exists (select 1 from public.app_user u where u.user_id = who and not u.email_proven) then
            delete from public.api_token k where k.user_id = who;
            delete from public.recovery_code r where r.user_id = who;
            delete from public.second_factor f where f.user_id = who;
            update public.app_user u set password_hash = '', email_proven = true where u.user_id = who;
        end if;
    end if;
    return query select u.user_id, u.email, bound from public.app_user u where u.user_id = who and u.active;
end $$;

revoke all on function login_candidate, session_open, session_find, person_find, session_list, session_end, token_put, token_find,
    token_list, token_drop, factor_begin, factor_find, factor_step, recovery_put, recovery_use, factor_remove,
    oidc_person from public;
grant execute on function login_candidate, session_open, session_find, person_find, session_list, session_end, token_put,
    token_find, token_list, token_drop, factor_begin, factor_find, factor_step, recovery_put, recovery_use,
    factor_remove, oidc_person to aiops_app;
