-- What a job is about, for one filter over all kinds; workflows under a name; and through what a job was cancelled.

create table queue.workflows (
    id         uuid primary key,
    tenant_id  uuid not null,
    name       text,
    subject    text,
    created_at timestamptz not null default queue.now()
);

comment on table queue.workflows is 'What workflows are called; their jobs name them by workflow_id';
comment on column queue.workflows.id is 'The workflow; of version 7, so that ids have the order of time';
comment on column queue.workflows.tenant_id is 'Of its first job';
comment on column queue.workflows.name is 'What the application calls workflows of its kind; null where it gave none';
comment on column queue.workflows.subject is 'What it is about, as its jobs; null where the application said nothing';
comment on column queue.workflows.created_at is 'When it was enqueued';

alter table queue.workflows enable row level security;

-- Those that are there. Until now only the daily pipeline was a workflow of several kinds.
insert into queue.workflows (id, tenant_id, name, subject, created_at)
select workflow_id, (array_agg(tenant_id order by seq))[1],
    case when bool_or(kind = 'generate_export' and name = 'export') then 'daily_pipeline' end,
    max(left(args ->> 'date', 10)) filter (where kind = 'generate_export' and name = 'export'),
    min(created_at)
from queue.jobs where workflow_id is not null group by workflow_id;

create index workflows_tenant on queue.workflows (tenant_id, id);
create index workflows_subject on queue.workflows (subject, id) where subject is not null;
create index workflows_tenant_subject on queue.workflows (tenant_id, subject, id) where subject is not null;

alter table queue.jobs add column subject text, add column cancelled_by uuid;

comment on column queue.jobs.subject is 'What it is about, such as a day, as the application says; null where it says nothing. queue.job_subject also knows it of jobs from before';
comment on column queue.jobs.cancelled_by is 'Through what it was cancelled, or told to stop: itself, its workflow, its backfill, a job that does so to many, or a failed job that it waited on';

-- Jobs from before, and those of a version from before, have their day in their arguments alone. Inlined, so that it is an
-- expression for an index.
create function queue.job_subject(subject text, args jsonb) returns text
    language sql immutable parallel safe
    return coalesce(subject, left(args ->> 'date', 10));

comment on function queue.job_subject is 'What a job is about';

-- Few jobs are in these states, so that a job on its usual way pays nothing. jobs_failed_day stays for the version from before.
create index jobs_failing_subject on queue.jobs (tenant_id, (queue.job_subject(subject, args)), seq)
    where aside in ('retryable', 'cancelled', 'discarded');
