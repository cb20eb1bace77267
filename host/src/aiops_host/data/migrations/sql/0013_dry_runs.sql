-- Executed once by aiops_owner.
-- How an ended delivery stood when a dry run of it was asked for; it stands so again once the dry run has ended.
alter table delivery add column before_dry_run jsonb;
