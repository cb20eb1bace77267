-- Executed once by aiops_owner.
-- A key whose provider did not answer is told from one the provider refused.
alter table llm_key drop constraint llm_key_state_check;
alter table llm_key add constraint llm_key_state_check check (state in ('trying', 'live', 'refused', 'unreached'));
