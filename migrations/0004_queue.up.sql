-- The engine: jobs, what they wait for, and the workers that run them.

create schema queue;
grant usage on schema queue to weirgate_tenant;

-- The engine's only clock. Hosts' clocks decide nothing: due times, leases and retries are compared with this.
-- Tests replace it to travel in time.
create function queue.now() returns timestamptz
language sql stable
as $$ select now() $$;

create type queue.job_state as enum (
    'waiting', 'scheduled', 'available', 'running', 'retryable', 'completed', 'cancelled', 'discarded'
);

create table queue.workers (
    id          uuid primary key,
    host        text not null,
    pid         integer not null,
    version     text not null,
    queues      text[] not null,
    started_at  timestamptz not null,
    heartbeat_at timestamptz not null,
    lease_until timestamptz not null
);

create index workers_lease on queue.workers (lease_until);

comment on table queue.workers is 'Worker processes that hold a lease, or held one until lately';
comment on column queue.workers.id is 'Id of this registration; a process that lost its lease gets a new one';
comment on column queue.workers.host is 'Host name';
comment on column queue.workers.pid is 'Process id on that host';
comment on column queue.workers.version is 'Version of the program';
comment on column queue.workers.queues is 'Queues it claims from';
comment on column queue.workers.started_at is 'When it registered';
comment on column queue.workers.heartbeat_at is 'Last sign of life';
comment on column queue.workers.lease_until is 'Until when its running jobs are its own; after that they are rescued';

create table queue.jobs (
    id                  uuid primary key,
    seq                 bigint generated always as identity,
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
    finalized_at        timestamptz
);

-- The claim reads from this one in its order; only jobs that may start are in it.
create index jobs_claim on queue.jobs (queue, priority desc, seq) where state = 'available';
create index jobs_due on queue.jobs (scheduled_at) where state in ('scheduled', 'retryable');
create index jobs_running on queue.jobs (worker_id) where state = 'running';
create unique index jobs_unique on queue.jobs (unique_key)
    where unique_key is not null and state in ('waiting', 'scheduled', 'available', 'running', 'retryable');
create unique index jobs_seq on queue.jobs (seq);
create index jobs_tenant on queue.jobs (tenant_id, seq);
create index jobs_workflow on queue.jobs (workflow_id) where workflow_id is not null;
create index jobs_backfill on queue.jobs (backfill_id) where backfill_id is not null;

comment on table queue.jobs is 'Every job, from enqueue to its end';
comment on column queue.jobs.id is 'UUIDv7, made where the job is enqueued';
comment on column queue.jobs.seq is 'Order of enqueueing, by the database';
comment on column queue.jobs.tenant_id is 'Whose job it is';
comment on column queue.jobs.queue is 'Where it waits; with the tenant, its lane';
comment on column queue.jobs.kind is 'Which handler runs it; a permanent name';
comment on column queue.jobs.state is 'Where it stands; README.md has the picture of the states';
comment on column queue.jobs.priority is 'Higher first, -100 to 100';
comment on column queue.jobs.attempt is 'Attempts started; snoozes and handed-back runs are not counted';
comment on column queue.jobs.max_attempts is 'Attempts after which a failure discards it';
comment on column queue.jobs.run is 'Run token: grows by one with each claim; a finish must name the current one';
comment on column queue.jobs.pending_parents is 'Jobs it still waits on';
comment on column queue.jobs.args is 'Arguments';
comment on column queue.jobs.output is 'What the handler returned';
comment on column queue.jobs.progress is '{"done", "total", "message"} of the current or last attempt';
comment on column queue.jobs.errors is 'One element a failed attempt: attempt, at, code, message, retry_at';
comment on column queue.jobs.unique_key is 'SHA-256 of what makes it unique while it is not final; null for any number';
comment on column queue.jobs.workflow_id is 'The workflow it belongs to';
comment on column queue.jobs.backfill_id is 'The backfill it belongs to';
comment on column queue.jobs.traceparent is 'W3C trace context of the request that enqueued it';
comment on column queue.jobs.worker_id is 'Who runs it now, or ran it last';
comment on column queue.jobs.cancel_requested_at is 'When a running job was told to stop';
comment on column queue.jobs.created_at is 'When it was enqueued';
comment on column queue.jobs.scheduled_at is 'When it may start, or became due';
comment on column queue.jobs.attempted_at is 'When the last attempt started';
comment on column queue.jobs.finalized_at is 'When it became completed, cancelled or discarded';

create table queue.job_dependencies (
    tenant_id  uuid not null,
    child_id   uuid not null references queue.jobs (id) on delete cascade,
    parent_id  uuid not null references queue.jobs (id) on delete cascade,
    on_failure text not null check (on_failure in ('cancel', 'continue')),
    primary key (child_id, parent_id)
);

create index job_dependencies_parent on queue.job_dependencies (parent_id);

comment on table queue.job_dependencies is 'A child waits until its parents are final';
comment on column queue.job_dependencies.tenant_id is 'Whose jobs they are';
comment on column queue.job_dependencies.child_id is 'The job that waits';
comment on column queue.job_dependencies.parent_id is 'The job it waits on';
comment on column queue.job_dependencies.on_failure is 'What a discarded or cancelled parent does to the child: cancel it, or let it go on';

do $$
declare
    name text;
begin
    foreach name in array array['jobs', 'job_dependencies'] loop
        execute format('alter table queue.%I enable row level security', name);
        execute format('create policy tenant_reads on queue.%I for select to weirgate_tenant using (tenant_id = public.current_tenant())', name);
        execute format('grant select on queue.%I to weirgate_tenant', name);
    end loop;
end
$$;

-- Whether somebody works on a queue concerns every tenant; which hosts they are does not.
grant select (id, queues, lease_until) on queue.workers to weirgate_tenant;
