-- Worker processes belong to no tenant: each tells that it lives, and the host may read who did.
create table worker (
    name        text primary key,
    started_at  timestamptz not null default clock_timestamp(),
    seen_at     timestamptz not null default clock_timestamp(),
    slots       integer not null,
    running     integer not null,
    pool_in_use integer not null,
    pool_size   integer not null
);
alter table worker enable row level security;
alter table worker force row level security;
create policy workers on worker to aiops_owner using (true) with check (true);

create function worker_beat(who text, its_slots integer, its_running integer, used integer, size integer) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    delete from public.worker w where w.seen_at < clock_timestamp() - interval '1 day';
    insert into public.worker as w (name, slots, running, pool_in_use, pool_size)
    values (who, its_slots, its_running, used, size)
    on conflict (name) do update set seen_at = clock_timestamp(), slots = excluded.slots, running = excluded.running,
        pool_in_use = excluded.pool_in_use, pool_size = excluded.pool_size;
end $$;

create function worker_directory()
returns table (
    name text, started_at timestamptz, seen_at timestamptz, silent_seconds double precision, slots integer,
    running integer, pool_in_use integer, pool_size integer
)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
    select w.name, w.started_at, w.seen_at, extract(epoch from clock_timestamp() - w.seen_at)::float8, w.slots,
           w.running, w.pool_in_use, w.pool_size
    from public.worker w order by w.name
$$;

revoke all on function worker_beat, worker_directory from public;
grant execute on function worker_beat to aiops_sweeper;
grant execute on function worker_directory to aiops_app;

create index run_recent on run (tenant_id, started_at desc, run_id desc);
