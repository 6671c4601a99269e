-- Backfills as objects: a range of slices, numbered from 0, that become jobs piece by piece.

alter table queue.backfills
    add column kind               text,
    add column spec               jsonb not null default '{}',
    add column plan               jsonb not null default '{}',
    add column queues             text[] not null default '{}',
    add column priority           smallint not null default 0 check (priority between -100 and 100),
    add column traceparent        text,
    add column total              bigint not null default 0,
    add column next_slice         bigint not null default 0,
    add column skipped            bigint not null default 0,
    add column jobs               bigint not null default 0,
    add column counts             jsonb,
    add column samples            jsonb not null default '[]',
    add column retry_requested_at timestamptz,
    add column retried_to         bigint not null default 0,
    add column created_at         timestamptz not null default queue.now(),
    add column cancelled_at       timestamptz,
    add check (next_slice between 0 and total and skipped between 0 and next_slice);

comment on column queue.backfills.kind is 'What its slices are; null for one whose jobs come from elsewhere, which is never expanded';
comment on column queue.backfills.spec is 'What was asked for, for people';
comment on column queue.backfills.plan is 'What the application makes its slices from';
comment on column queue.backfills.queues is 'Queues that its jobs wait in';
comment on column queue.backfills.priority is 'Of its jobs; higher first, -100 to 100';
comment on column queue.backfills.traceparent is 'W3C trace context of the request that made it';
comment on column queue.backfills.total is 'Number of slices';
comment on column queue.backfills.next_slice is 'Slices before this one were looked at: they became jobs or were skipped';
comment on column queue.backfills.skipped is 'Slices that became no job: nothing to do, or on their way already';
comment on column queue.backfills.jobs is 'Jobs that were made; a slice may be several';
comment on column queue.backfills.counts is 'Its jobs by state when it finished; null before';
comment on column queue.backfills.samples is 'Slices that were done at times of the last minutes, for the rate: [{"at", "done"}]';
comment on column queue.backfills.retry_requested_at is 'Jobs that were discarded before this time get another life; null when that is done';
comment on column queue.backfills.retried_to is 'Of these, jobs up to this seq were looked at';
comment on column queue.backfills.created_at is 'When it was made';
comment on column queue.backfills.cancelled_at is 'When it was cancelled';

-- A backfill's live and its failed jobs are found without the others.
create index jobs_backfill_live on queue.jobs (backfill_id, seq)
    where backfill_id is not null and state in ('waiting', 'scheduled', 'available', 'running', 'retryable');
create index jobs_backfill_failed on queue.jobs (backfill_id, seq) where backfill_id is not null and state = 'discarded';

-- Whether a tenant's day failed.
create index jobs_failed_day on queue.jobs (kind, tenant_id, left(args ->> 'date', 10)) where state in ('discarded', 'cancelled');
