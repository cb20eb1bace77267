-- Executed once by aiops_owner.

-- Which login key a second factor is sealed under stands in the seal's own head, as with secrets. The key cannot go while
-- a second factor needs it.
-- A new foreign key is validated by a query, which the tenants' policy refuses while no tenant is set.
select set_config('app.current_tenant_id', '00000000-0000-0000-0000-000000000000', true);
alter table second_factor
    add column key_owner uuid not null generated always as ('00000000-0000-0000-0000-000000000000'::uuid) stored,
    add column purpose text not null generated always as (case get_byte(sealed, 4) when 3 then 'login' end) stored,
    add column key_version integer not null generated always as (
        (get_byte(sealed, 5) << 24) | (get_byte(sealed, 6) << 16) | (get_byte(sealed, 7) << 8) | get_byte(sealed, 8)
    ) stored,
    add check (substr(sealed, 1, 4) = 'AOS1'::bytea),
    add foreign key (key_owner, purpose, key_version) references data_key;
create index second_factor_by_key on second_factor (key_version);

-- These show something in the installation's own session only: the policy of data_key hides its keys from all others.
create function factors_by_key() returns table (key_version integer, factors bigint)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select k.version, count(*) from public.second_factor f
    join public.data_key k on k.tenant_id = f.key_owner and k.purpose = f.purpose and k.version = f.key_version
    group by k.version
$$;

create function factors_to_reseal() returns table (user_id uuid, version integer, sealed bytea)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select f.user_id, f.version, f.sealed from public.second_factor f
    join public.data_key k on k.tenant_id = f.key_owner and k.purpose = f.purpose and k.version = f.key_version
    where k.state = 'retiring' order by f.user_id
$$;

create function factor_reseal(who uuid, old_seal bytea, new_seal bytea) returns boolean
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
    update public.second_factor f set sealed = new_seal where f.user_id = who and f.sealed = old_seal returning true
$$;

revoke all on function factors_by_key, factors_to_reseal, factor_reseal from public;
grant execute on function factors_by_key, factors_to_reseal, factor_reseal to aiops_app;
