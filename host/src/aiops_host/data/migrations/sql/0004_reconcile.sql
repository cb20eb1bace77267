-- Executed once by aiops_owner.

-- Set while a confirmed note may have a double: one whose write was in doubt at some time.
alter table effect
    add column reconcile_at timestamptz,
    add column reconciles   integer not null default 0;
create index effect_to_reconcile on effect (tenant_id, reconcile_at) where reconcile_at is not null;
grant select (reconcile_at) on effect to aiops_sweeper;

-- A ticket's next delivery waits until the note of the one before is on the ticket, or an older note could come last.
drop index delivery_one_running;
create unique index delivery_one_running on delivery (tenant_id, connection_id, ticket_id)
    where state in ('running', 'posting');

-- Deliveries whose workers died again and again are taken up one at a time.
grant select (crashes) on delivery to aiops_sweeper;
