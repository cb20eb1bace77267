-- Executed once by aiops_owner.
-- Which administrator was told by mail of which budget, period and threshold. A mail that a worker died over stays
-- 'sending' and is not sent again: nobody knows whether it arrived.
create table budget_mail (
    tenant_id uuid not null references tenant on delete cascade,
    set_by    text not null check (set_by in ('tenant', 'operator')),
    period    text not null check (period in ('day', 'month')),
    starts    date not null,
    level     text not null check (level in ('warning', 'reached')),
    user_id   uuid not null,
    state     text not null default 'sending' check (state in ('sending', 'failed', 'sent')),
    tries     integer not null default 1,
    due_at    timestamptz not null default clock_timestamp(),
    primary key (tenant_id, set_by, period, starts, level, user_id)
);
alter table budget_mail enable row level security;
alter table budget_mail force row level security;
create policy tenant_rows on budget_mail to aiops_app, aiops_owner
    using (tenant_id = (select current_setting('app.current_tenant_id')::uuid))
    with check (tenant_id = (select current_setting('app.current_tenant_id')::uuid));
grant select, insert, update, delete on budget_mail to aiops_app;
