-- Backfills: ranges of slices, numbered from 0, that become jobs piece by piece. A tenant that is
-- limited, paused or slow does not hold up the other tenants of a backfill: the backfill goes on
-- without it, and later continues with the tenant where it left it behind.

create table queue.backfills (
    id                 uuid primary key,
    paused             boolean not null default false,
    share              real not null default 0.25 check (share > 0 and share <= 1),
    max_running        integer check (max_running > 0),
    finished_at        timestamptz,
    kind               text,
    spec               jsonb not null default '{}',
    plan               jsonb not null default '{}',
    queues             text[] not null default '{}',
    priority           smallint not null default 0 check (priority between -100 and 100),
    traceparent        text,
    total              bigint not null default 0,
    next_slice         bigint not null default 0,
    skipped            bigint not null default 0,
    jobs               bigint not null default 0,
    counts             jsonb,
    samples            jsonb not null default '[]',
    retry_requested_at timestamptz,
    retried_to         bigint not null default 0,
    created_at         timestamptz not null default queue.now(),
    cancelled_at       timestamptz,
    put_off            bigint not null default 0,
    reached            bigint not null default 0,
    constraint backfills_check check (next_slice between 0 and total and skipped between 0 and next_slice),
    constraint backfills_put_off_check check (
        put_off between 0 and next_slice - skipped
        and (put_off = 0 or reached = next_slice and (finished_at is null or cancelled_at is not null)))
);

create index backfills_unfinished on queue.backfills (id) where finished_at is null;

comment on table queue.backfills is
    'Ranges of slices that become jobs in the background; their jobs have sub-lanes of their own';
comment on column queue.backfills.id is 'UUIDv7';
comment on column queue.backfills.paused is 'Whether none of its jobs starts';
comment on column queue.backfills.share is
    'The part of the capacity that it may take while live work waits, above 0 to 1';
comment on column queue.backfills.max_running is
    'Most of its jobs at once in a queue; null for any number';
comment on column queue.backfills.finished_at is
    'When its last job became final, or it was cancelled';
comment on column queue.backfills.kind is
    'The kind of its slices; null for a backfill whose jobs come from elsewhere, which is never '
    'expanded';
comment on column queue.backfills.spec is 'What was asked for, for people';
comment on column queue.backfills.plan is 'What the application makes its slices from';
comment on column queue.backfills.queues is 'Queues that its jobs wait in';
comment on column queue.backfills.priority is 'Of its jobs; higher first, -100 to 100';
comment on column queue.backfills.traceparent is 'W3C trace context of the request that made it';
comment on column queue.backfills.total is 'Number of slices';
comment on column queue.backfills.next_slice is
    'Slices before this one were expanded, except those that are put off: each became jobs or was '
    'skipped';
comment on column queue.backfills.skipped is
    'Slices that became no job: there was nothing to do, or a live job did it already';
comment on column queue.backfills.jobs is 'Jobs that were enqueued; a slice may be several';
comment on column queue.backfills.counts is 'Its jobs by state when it finished; null before';
comment on column queue.backfills.samples is
    'Numbers of finished slices at times of the last minutes, for the rate: [{"at", "done"}]';
comment on column queue.backfills.retry_requested_at is
    'Jobs that were discarded before this time are retried; null when that is done';
comment on column queue.backfills.retried_to is 'Retrying has come to this seq';
comment on column queue.backfills.created_at is 'When it was made';
comment on column queue.backfills.cancelled_at is 'When it was cancelled';
comment on column queue.backfills.put_off is
    'Slices before next_slice that were not expanded, as their tenants have enough jobs waiting';
comment on column queue.backfills.reached is
    'The same as next_slice while slices are put off, so that no statement moves such a backfill '
    'on, or ends it, that does not know of them';

create table queue.backfills_behind (
    backfill_id uuid not null references queue.backfills(id) on delete cascade,
    tenant_id   uuid not null,
    next_slice  bigint not null,
    primary key (backfill_id, tenant_id)
);

comment on table queue.backfills_behind is
    'Tenants that a backfill went on without, as enough of their jobs wait';
comment on column queue.backfills_behind.backfill_id is 'The backfill';
comment on column queue.backfills_behind.tenant_id is 'The tenant';
comment on column queue.backfills_behind.next_slice is
    'Slices of the tenant before this one were expanded; those from here to the backfill''s '
    'next_slice are put off';

alter table queue.backfills_behind enable row level security;
