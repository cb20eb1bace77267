-- Executed once by aiops_owner.
-- Webhooks that arrive together are committed together: one round trip and one flush to disk for all of them.

create function accept_deliveries(
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

revoke all on function accept_deliveries from public;
grant execute on function accept_deliveries to aiops_intake;
drop function accept_delivery;
