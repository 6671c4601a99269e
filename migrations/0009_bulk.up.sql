-- Bulk actions walk over jobs by seq, along the index that fits their filter.

-- Dead letters and cancelled jobs are few among millions that completed.
create index jobs_discarded on queue.jobs (seq) where state = 'discarded';
create index jobs_cancelled on queue.jobs (seq) where state = 'cancelled';

-- In the order of the walk, so that each step reads its own part only.
drop index if exists queue.jobs_workflow;
create index jobs_workflow on queue.jobs (workflow_id, seq) where workflow_id is not null;
drop index if exists queue.jobs_backfill;
create index jobs_backfill on queue.jobs (backfill_id, seq) where backfill_id is not null;

-- Jobs of no single tenant belong to the system, which is nobody's customer and has no key.
alter table tenants add constraint tenants_are_not_the_system
    check (id <> '00000000-0000-0000-0000-000000000000' and slug <> 'system');
comment on column queue.jobs.tenant_id is 'Whose job it is; nil for the system''s own';
comment on column queue.jobs.output is 'What the handler returned; until then, its checkpoint if it has one';
