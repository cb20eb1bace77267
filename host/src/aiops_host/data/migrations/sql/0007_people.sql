-- Executed once by aiops_owner.
-- People, memberships and invitations. A change of what a person may do ends their sessions, whoever makes it.

alter table membership add column since timestamptz not null default now();

create table invitation (
    tenant_id     uuid not null references tenant on delete cascade,
    invitation_id uuid not null,
    email         text not null check (email = lower(email)),
    role          text not null check (role in ('tenant-admin', 'technician', 'read-only')),
    token_hash    bytea not null,
    invited_by    text not null,
    shown         boolean not null default false,
    created_at    timestamptz not null default now(),
    expires_at    timestamptz not null,
    primary key (tenant_id, invitation_id),
    unique (tenant_id, email)
);
-- Who follows the link names no tenant; the hash is that of 256 random bits.
create index invitation_by_token on invitation (token_hash);

alter table invitation enable row level security;
alter table invitation force row level security;
create policy tenant_rows on invitation to aiops_app, aiops_owner
    using (tenant_id = (select current_setting('app.current_tenant_id')::uuid))
    with check (tenant_id = (select current_setting('app.current_tenant_id')::uuid));
create policy look_up on invitation for select to aiops_owner using (true);
grant select, insert, update, delete on invitation to aiops_app;

create table password_reset (
    token_hash bytea primary key,
    user_id    uuid not null references app_user on delete cascade,
    shown      boolean not null,
    expires_at timestamptz not null
);
alter table password_reset enable row level security;
alter table password_reset force row level security;
create policy resets on password_reset to aiops_owner using (true) with check (true);

create function sessions_end() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    delete from public.web_session s where s.user_id = coalesce(new.user_id, old.user_id);
    return null;
end $$;
create trigger member_joined_or_left after insert or delete on membership
    for each row execute function sessions_end();
create trigger member_changed after update on membership
    for each row when (old.role is distinct from new.role) execute function sessions_end();
create trigger person_changed after update on app_user
    for each row when ((old.platform_admin, old.active, old.password_hash)
        is distinct from (new.platform_admin, new.active, new.password_hash)) execute function sessions_end();

-- A person without a password; nothing if somebody has the address.
create function person_make(new_id uuid, address text, is_admin boolean) returns uuid
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
    insert into public.app_user (user_id, email, password_hash, platform_admin)
    values (new_id, lower(address), '', is_admin) on conflict (email) do nothing returning user_id
$$;

-- Two administrators who demote each other wait for one another, and the second is told that they are the last.
create function person_change(who uuid, make_admin boolean, make_active boolean) returns text
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    was record;
begin
    perform 1 from public.app_user u where u.platform_admin and u.active order by u.user_id for update;
    select u.platform_admin, u.active into was from public.app_user u where u.user_id = who for update;
    if not found then
        return 'unknown';
    end if;
    if was.platform_admin and was.active and not (coalesce(make_admin, true) and coalesce(make_active, true))
            and not exists (select 1 from public.app_user u
                            where u.platform_admin and u.active and u.user_id <> who) then
        return 'last';
    end if;
    update public.app_user u set platform_admin = coalesce(make_admin, u.platform_admin),
        active = coalesce(make_active, u.active) where u.user_id = who;
    return 'changed';
end $$;

-- A new role, or none to remove the membership. Its tenant's row is locked against a change at the same time.
create function member_change(who uuid, new_role text) returns text
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    here uuid := current_setting('app.current_tenant_id')::uuid;
    was text;
begin
    perform 1 from public.tenant t where t.tenant_id = here for no key update;
    select m.role into was from public.membership m where m.tenant_id = here and m.user_id = who;
    if was is null then
        return 'unknown';
    end if;
    if was = 'tenant-admin' and new_role is distinct from 'tenant-admin'
            and not exists (select 1 from public.membership m join public.app_user u on u.user_id = m.user_id
                            where m.tenant_id = here and m.role = 'tenant-admin' and m.user_id <> who and u.active) then
        return 'last';
    end if;
    if new_role is null then
        delete from public.membership m where m.tenant_id = here and m.user_id = who;
        delete from public.api_token k where k.only_tenant = here and k.user_id = who;
    else
        update public.membership m set role = new_role where m.tenant_id = here and m.user_id = who;
    end if;
    return 'changed';
end $$;

create function member_directory(past text, upto integer)
returns table (user_id uuid, email text, role text, active boolean, second_factor boolean, since timestamptz)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select u.user_id, u.email, m.role, u.active,
           exists(select 1 from public.second_factor f where f.user_id = u.user_id and f.confirmed_at is not null),
           m.since
    from public.membership m join public.app_user u on u.user_id = m.user_id
    where m.tenant_id = current_setting('app.current_tenant_id')::uuid and (past is null or u.email > past)
    order by u.email limit upto
$$;

create function person_directory(past text, upto integer, which uuid)
returns table (user_id uuid, email text, platform_admin boolean, active boolean, second_factor boolean, locked boolean,
               tenants text[], last_seen_at timestamptz, created_at timestamptz)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select u.user_id, u.email, u.platform_admin, u.active,
           exists(select 1 from public.second_factor f where f.user_id = u.user_id and f.confirmed_at is not null),
           coalesce(u.locked_until > clock_timestamp(), false),
           array(select t.slug from public.membership m join public.tenant t on t.tenant_id = m.tenant_id
                 where m.user_id = u.user_id order by t.slug),
           (select max(s.last_seen_at) from public.web_session s where s.user_id = u.user_id), u.created_at
    from public.app_user u
    where (past is null or u.email > past) and (which is null or u.user_id = which)
    order by u.email limit upto
$$;

create function invitation_look(token bytea)
returns table (tenant_id uuid, slug text, name text, email text, role text, shown boolean, expires_at timestamptz,
               user_id uuid)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select i.tenant_id, t.slug, t.name, i.email, i.role, i.shown, i.expires_at, u.user_id
    from public.invitation i join public.tenant t on t.tenant_id = i.tenant_id
    left join public.app_user u on u.email = i.email
    where i.token_hash = token and i.expires_at > clock_timestamp()
$$;

-- Used up whatever comes of it; the person is made with the password given, or is the one there is.
create function invitation_accept(token bytea, new_id uuid, hashed text) returns uuid
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    here uuid;
    taken public.invitation;
    who uuid;
begin
    select i.tenant_id into here from public.invitation i where i.token_hash = token;
    if here is null then
        return null;
    end if;
    perform set_config('app.current_tenant_id', here::text, true);
    delete from public.invitation i
    where i.tenant_id = here and i.token_hash = token and i.expires_at > clock_timestamp() returning i.* into taken;
    if taken.tenant_id is null then
        return null;
    end if;
    insert into public.app_user as u (user_id, email, password_hash, email_proven)
    values (new_id, taken.email, hashed, not taken.shown) on conflict (email) do nothing returning u.user_id into who;
    if who is null then
        select u.user_id into who from public.app_user u where u.email = taken.email;
    end if;
    insert into public.membership (tenant_id, user_id, role) values (here, who, taken.role)
    on conflict (tenant_id, user_id) do nothing;
    return who;
end $$;

create function invitations_of(address text) returns setof bytea
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select i.token_hash from public.invitation i
    where i.email = lower(address) and i.expires_at > clock_timestamp() order by i.created_at
$$;

create function reset_open(token bytea, who uuid, lifetime interval, was_shown boolean) returns timestamptz
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    delete from public.password_reset r where r.user_id = who or r.expires_at < clock_timestamp();
    insert into public.password_reset (token_hash, user_id, shown, expires_at)
    values (token, who, was_shown, clock_timestamp() + lifetime);
    return clock_timestamp() + lifetime;
end $$;

create function reset_look(token bytea) returns table (user_id uuid, email text, expires_at timestamptz)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select u.user_id, u.email, r.expires_at
    from public.password_reset r join public.app_user u on u.user_id = r.user_id
    where r.token_hash = token and r.expires_at > clock_timestamp() and u.active
$$;

create function reset_take(token bytea, hashed text) returns uuid
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    taken public.password_reset;
begin
    delete from public.password_reset r where r.token_hash = token and r.expires_at > clock_timestamp()
    returning r.* into taken;
    update public.app_user u set password_hash = hashed, failures = 0, locked_until = null,
        email_proven = not taken.shown
    where u.user_id = taken.user_id and u.active;
    if not found then
        return null;
    end if;
    return taken.user_id;
end $$;

revoke all on function sessions_end, person_make, person_change, member_change, member_directory, person_directory,
    invitation_look, invitation_accept, invitations_of, reset_open, reset_look, reset_take from public;
grant execute on function person_make, person_change, member_change, member_directory, person_directory,
    invitation_look, invitation_accept, invitations_of, reset_open, reset_look, reset_take to aiops_app;
