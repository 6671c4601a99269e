-- Jobs. A claim writes no row of this table, and a job that ends is written once: no index names a
-- column that these two change, so that Postgres keeps the new version on the same page (HOT).
-- docs/performance.md has the figures.

create type queue.job_state as enum (
    'waiting', 'scheduled', 'available', 'running', 'retryable', 'completed', 'cancelled', 'discarded'
);

-- A claim finds the jobs of a sub-lane by one number: an entry of the index is half as long, and
-- compared by one number instead of text and ids. docs/performance.md tells what the longer one
-- cost.
create function queue.sublane_key(queue text, tenant_id uuid, backfill_id uuid) returns bigint
language sql immutable parallel safe
return hashtextextended(queue, uuid_hash_extended(tenant_id, coalesce(uuid_hash_extended(backfill_id, 0), 0)));

comment on function queue.sublane_key(text, uuid, uuid) is
    'Stands for the live work of a tenant in a queue, or for its part of a backfill, in an index. '
    'Two sub-lanes may have the same key: whoever searches by it compares the rest';

-- The generated columns are computed at every write: a job on its usual way, without a key or a
-- backfill, is done with after the first comparison.
create table queue.jobs (
    id                  uuid primary key,
    seq                 bigint not null generated always as identity,
    tenant_id           uuid not null,
    queue               text not null,
    kind                text not null,
    state               queue.job_state not null,
    priority            smallint not null default 0 check (priority between -100 and 100),
    attempt             smallint not null default 0,
    max_attempts        smallint not null check (max_attempts > 0),
    run                 bigint not null default 0,
    pending_parents     integer not null default 0,
    args                jsonb not null,
    output              jsonb,
    progress            jsonb,
    errors              jsonb not null default '[]',
    unique_key          bytea,
    workflow_id         uuid,
    backfill_id         uuid,
    traceparent         text,
    worker_id           uuid,
    cancel_requested_at timestamptz,
    created_at          timestamptz not null,
    scheduled_at        timestamptz not null,
    attempted_at        timestamptz,
    finalized_at        timestamptz,
    name                text,
    failed_parents      integer not null default 0,
    cold_state          queue.job_state generated always as (
        case when state = 'running' or state = 'completed' or state = 'available' then null else state end) stored,
    live_key            bytea generated always as (
        case when unique_key is null or state in ('completed', 'cancelled', 'discarded') then null
            else unique_key end) stored,
    live_backfill_id    uuid generated always as (
        case when backfill_id is null or state in ('completed', 'cancelled', 'discarded') then null
            else backfill_id end) stored,
    failure_id          bigint,
    subject             text,
    cancelled_by        uuid,
    enqueued_by         text
) with (fillfactor=50);

-- Few jobs are in a cold state. The indexes of these are in the order of lists and of bulk actions,
-- and neither a claim nor the end of a job that completes writes them. Failures alone write
-- jobs_failure, which has the state so that jobs are counted without being read.
create unique index jobs_seq on queue.jobs (seq);
create index jobs_tenant on queue.jobs (tenant_id, seq);
create index jobs_workflow on queue.jobs (workflow_id, seq) where workflow_id is not null;
create index jobs_backfill on queue.jobs (backfill_id, seq) where backfill_id is not null;
create index jobs_due on queue.jobs (scheduled_at) where cold_state in ('scheduled', 'retryable');
create unique index jobs_unique on queue.jobs (live_key) where live_key is not null;
create index jobs_backfill_live on queue.jobs (live_backfill_id, seq) where live_backfill_id is not null;
create index jobs_backfill_failed on queue.jobs (backfill_id, seq)
    where backfill_id is not null and cold_state = 'discarded';
create index jobs_cold on queue.jobs (cold_state, seq) where cold_state is not null;
create index jobs_tenant_cold on queue.jobs (tenant_id, seq) where cold_state is not null;
create index jobs_failure on queue.jobs (failure_id, seq) include (cold_state)
    where failure_id is not null and cold_state in ('retryable', 'discarded');
create index jobs_sublane on queue.jobs (queue.sublane_key(queue, tenant_id, backfill_id), priority, seq);
create index jobs_failing_subject on queue.jobs (tenant_id, subject, seq)
    where cold_state in ('retryable', 'cancelled', 'discarded');
create index jobs_failed_subject on queue.jobs (kind, tenant_id, subject)
    where cold_state in ('discarded', 'cancelled');

comment on table queue.jobs is 'Every job, from enqueue to its end';
comment on column queue.jobs.id is 'UUIDv7, made where the job is enqueued';
comment on column queue.jobs.seq is 'Order of enqueueing, by the database';
comment on column queue.jobs.tenant_id is 'Whose job it is; nil for the system''s own';
comment on column queue.jobs.queue is 'Where it waits; with the tenant, its lane';
comment on column queue.jobs.kind is 'Which handler runs it; a permanent name';
comment on column queue.jobs.state is 'Where it stands; README.md has the picture of the states';
comment on column queue.jobs.priority is 'Higher first, -100 to 100';
comment on column queue.jobs.attempt is
    'Attempts started; snoozes and handed-back runs are not counted';
comment on column queue.jobs.max_attempts is 'Attempts after which a failure discards it';
comment on column queue.jobs.run is
    'Run token: grows by one with each claim; a finish must name the current one';
comment on column queue.jobs.pending_parents is
    'Number of edges to it whose outcome is pending: jobs that it waits for';
comment on column queue.jobs.args is 'Arguments';
comment on column queue.jobs.output is
    'What the handler returned; until then, its checkpoint if it has one';
comment on column queue.jobs.progress is
    '{"done", "total", "message"} of the current or last attempt';
comment on column queue.jobs.errors is
    'One element a failed attempt: attempt, at, code, message, retry_at';
comment on column queue.jobs.unique_key is
    'SHA-256 of what makes it unique while it is not final; null for any number';
comment on column queue.jobs.workflow_id is 'The workflow it belongs to';
comment on column queue.jobs.backfill_id is 'The backfill it belongs to';
comment on column queue.jobs.traceparent is 'W3C trace context of the request that enqueued it';
comment on column queue.jobs.worker_id is 'The worker that runs it now, or ran it last';
comment on column queue.jobs.cancel_requested_at is 'When a running job was asked to stop';
comment on column queue.jobs.created_at is 'When it was enqueued';
comment on column queue.jobs.scheduled_at is 'When it may start, or became due';
comment on column queue.jobs.attempted_at is 'When the last attempt started';
comment on column queue.jobs.finalized_at is 'When it became completed, cancelled or discarded';
comment on column queue.jobs.name is 'What people call it within its workflow';
comment on column queue.jobs.failed_parents is
    'Number of edges to it whose outcome is failed: discarded or cancelled jobs that it needs';
comment on column queue.jobs.cold_state is
    'The state, where it is a cold one; null in the states of the hot path (available, running, '
    'completed): for indexes, which the hot path then never writes';
comment on column queue.jobs.live_key is
    'The unique key, while the job is not final: no other live job may have it';
comment on column queue.jobs.live_backfill_id is 'The backfill, while the job is not final';
comment on column queue.jobs.failure_id is
    'The failure of its last failed attempt (queue.failures)';
comment on column queue.jobs.subject is
    'What the job is about, such as a day, as the application says; null where the application '
    'says nothing';
comment on column queue.jobs.cancelled_by is
    'What cancelled the job, or asked it to stop: itself, its workflow, its backfill, a bulk '
    'action, or a failed job that it depended on';
comment on column queue.jobs.enqueued_by is
    'Who asked for the job, as the audit names them; null where a schedule, a backfill or another '
    'job enqueued it';

alter table queue.jobs enable row level security;
create policy tenant_reads on queue.jobs for select to weirgate_tenant
    using (tenant_id = nullif(current_setting('weirgate.tenant', true), '')::uuid);
grant select on queue.jobs to weirgate_tenant;

-- Jobs are numbered in the order of their enqueue, so that a time is found among the numbers by
-- halving: no index of times is needed, which each job would have to write.
create function queue.seq_at(at timestamptz) returns bigint language plpgsql stable as $$
declare
    low bigint := 0;
    high bigint;
    job record;
begin
    select coalesce(max(seq), 0) + 1 into high from queue.jobs;
    while low + 1 < high loop
        select seq, created_at into job from queue.jobs
        where seq >= (low + high) / 2 and seq < high order by seq limit 1;
        if job.created_at < at then
            low := job.seq;
        else
            high := (low + high) / 2;
        end if;
    end loop;
    return high;
end
$$;

comment on function queue.seq_at(timestamptz) is
    'The first seq of jobs that were enqueued then or later, of those that the caller sees';

-- The engine's tables are named by the engine alone. SQL of an application that has to join jobs
-- asks these functions, which the planner inlines.
create function queue.is_open(job uuid) returns boolean
language sql stable parallel safe
return exists (select from queue.jobs j where j.id = job and j.finalized_at is null);

comment on function queue.is_open(uuid) is 'Whether there is such a job, and it is not final';

create function queue.failed_jobs(kind text, tenant_id uuid, subject text)
returns table (is_discarded boolean, args jsonb, workflow_id uuid, finalized_at timestamptz)
language sql stable parallel safe
as $$
    select j.state = 'discarded', j.args, j.workflow_id, j.finalized_at
    from queue.jobs j
    where j.kind = $1 and j.tenant_id = $2 and j.subject = $3 and j.cold_state in ('discarded', 'cancelled')
      and (j.state = 'discarded' or j.errors @> '[{"code": "dependency_failed"}]')
$$;

comment on function queue.failed_jobs(text, uuid, text) is
    'The jobs of a kind, a tenant and a subject that were discarded, or cancelled since a job that '
    'they depended on failed';

create function queue.failed_jobs_between(kind text, tenant_id uuid, first_subject text, last_subject text)
returns table (subject text, is_discarded boolean, args jsonb, workflow_id uuid, finalized_at timestamptz)
language sql stable parallel safe
as $$
    select j.subject, j.state = 'discarded', j.args, j.workflow_id, j.finalized_at
    from queue.jobs j
    where j.kind = $1 and j.tenant_id = $2 and j.subject between $3 and $4
      and j.cold_state in ('discarded', 'cancelled')
      and (j.state = 'discarded' or j.errors @> '[{"code": "dependency_failed"}]')
$$;

comment on function queue.failed_jobs_between(text, uuid, text, text) is
    'The same of all subjects in this range';
