comment on column queue.jobs.output is 'What the handler returned';
comment on column queue.jobs.tenant_id is 'Whose job it is';
alter table tenants drop constraint tenants_are_not_the_system;
drop index if exists queue.jobs_backfill;
create index jobs_backfill on queue.jobs (backfill_id) where backfill_id is not null;
drop index if exists queue.jobs_workflow;
create index jobs_workflow on queue.jobs (workflow_id) where workflow_id is not null;
drop index queue.jobs_cancelled;
drop index queue.jobs_discarded;
