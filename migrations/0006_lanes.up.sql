-- Lanes: who may start how much, and the log from which every host knows what waits and what runs.
-- docs/lanes.md tells how a claim is decided.

create table queue.queues (
    name        text primary key,
    paused      boolean not null default false,
    limits      jsonb not null default '{}',
    lane_limits jsonb not null default '{}'
);

comment on table queue.queues is 'Settings of queues; a queue without a row has none';
comment on column queue.queues.name is 'Name of the queue';
comment on column queue.queues.paused is 'Whether nothing of it starts';
comment on column queue.queues.limits is 'Of all its lanes together: {"rate", "period_ms", "burst", "max_running"}, each may be missing';
comment on column queue.queues.lane_limits is 'Of each lane that has no limits of its own: as limits, and "weight"';

create table queue.lanes (
    tenant_id uuid not null,
    queue     text not null,
    paused    boolean not null default false,
    limits    jsonb,
    primary key (tenant_id, queue)
);

comment on table queue.lanes is 'Settings of lanes; a lane without a row has those of its queue';
comment on column queue.lanes.tenant_id is 'Whose lane it is';
comment on column queue.lanes.queue is 'The queue';
comment on column queue.lanes.paused is 'Whether nothing of it starts';
comment on column queue.lanes.limits is '{"rate", "period_ms", "burst", "max_running", "weight"} in place of the queue''s lane_limits; null for these';

alter table queue.lanes enable row level security;
create policy tenant_reads on queue.lanes for select to weirgate_tenant using (tenant_id = public.current_tenant());
grant select on queue.lanes to weirgate_tenant;

create table queue.backfills (
    id          uuid primary key,
    paused      boolean not null default false,
    share       real not null default 0.25 check (share > 0 and share <= 1),
    max_running integer check (max_running > 0),
    finished_at timestamptz
);

create index backfills_unfinished on queue.backfills (id) where finished_at is null;

comment on table queue.backfills is 'Ranges that are worked off in the background: their jobs have lanes of their own';
comment on column queue.backfills.id is 'UUIDv7';
comment on column queue.backfills.paused is 'Whether nothing of it starts';
comment on column queue.backfills.share is 'What part of the fleet it may take while live work waits, above 0 to 1';
comment on column queue.backfills.max_running is 'Most of its jobs at once in a queue; null for any number';
comment on column queue.backfills.finished_at is 'When its last job became final, or it was cancelled';

-- Appended to, never updated. A reader takes the rows that its last look could not see, by transaction id, so that
-- it finds each exactly once and never walks over old ones, dead or alive.
create table queue.lane_log (
    queue        text not null,
    txid         bigint not null default pg_current_xact_id()::text::bigint,
    at           timestamptz not null default queue.now(),
    no           bigint,
    worker_id    uuid,
    virtual_times double precision[],
    queue_tat    timestamptz,
    tenants      uuid[] not null default '{}',
    backfills    uuid[] not null default '{}',
    priorities   smallint[] not null default '{}',
    states       queue.job_state[] not null default '{}',
    changes      integer[] not null default '{}',
    lowest       bigint[] not null default '{}',
    tags         double precision[] not null default '{}',
    tats         timestamptz[] not null default '{}'
);

create index lane_log_new on queue.lane_log (queue, txid);
-- One turn a number: a claim that was decided on an outdated picture finds its number taken and changes nothing.
create unique index lane_log_turn on queue.lane_log (queue, no) where no is not null;

comment on table queue.lane_log is 'What changed in the lanes of a queue: turns (claims and settings, numbered) and changes of job counts';
comment on column queue.lane_log.queue is 'The queue';
comment on column queue.lane_log.txid is 'The transaction that wrote it';
comment on column queue.lane_log.at is 'When';
comment on column queue.lane_log.no is 'Number of the turn; null for changes of counts';
comment on column queue.lane_log.worker_id is 'Who claimed; null when the turn changed settings';
comment on column queue.lane_log.virtual_times is 'Virtual times of the queue after a claim: of live work, of backfills';
comment on column queue.lane_log.queue_tat is 'Theoretical arrival time of the whole queue after a claim; null without a rate';
comment on column queue.lane_log.tenants is 'Element i of each array belongs to one lane; these are their tenants';
comment on column queue.lane_log.backfills is 'The backfill of the jobs; null for live work';
comment on column queue.lane_log.priorities is 'Counts: priority of the jobs';
comment on column queue.lane_log.states is 'Counts: state of the jobs';
comment on column queue.lane_log.changes is 'Counts: by how much the number of these jobs changed';
comment on column queue.lane_log.lowest is 'Counts: lowest seq that came into the state';
comment on column queue.lane_log.tags is 'Claims: finish tag of the lane, in virtual time';
comment on column queue.lane_log.tats is 'Claims: theoretical arrival time of the lane; null without a rate';

create table queue.lane_books (
    queue text not null,
    at    timestamptz not null,
    oldest_xid bigint not null,
    no    bigint not null,
    book  jsonb not null,
    primary key (queue, at)
);

comment on table queue.lane_books is 'The log summed up now and then, for hosts that begin to read it';
comment on column queue.lane_books.queue is 'The queue';
comment on column queue.lane_books.at is 'When it was written';
comment on column queue.lane_books.oldest_xid is 'Every transaction before this one is in it';
comment on column queue.lane_books.no is 'Last turn that is in it';
comment on column queue.lane_books.book is 'Counts, tags and arrival times, and which transactions they hold';

alter table queue.workers add column slots integer not null default 0;
comment on column queue.workers.slots is 'Jobs it runs at once in each queue';

-- The claim reads a lane from its cursor on, one priority after the other.
create index jobs_lane on queue.jobs (queue, tenant_id, priority, seq) where state = 'available' and backfill_id is null;
create index jobs_backfill_lane on queue.jobs (queue, tenant_id, backfill_id, priority, seq)
    where state = 'available' and backfill_id is not null;
drop index queue.jobs_claim;

-- Every change of a job's state is counted by whoever makes it, in the same transaction: a count cannot be adrift.
create function queue.log_inserted_jobs() returns trigger language plpgsql as $$
begin
    insert into queue.lane_log (queue, tenants, backfills, priorities, states, changes, lowest)
    select queue, array_agg(tenant_id), array_agg(backfill_id), array_agg(priority), array_agg(state), array_agg(change),
        array_agg(lowest)
    from (
        select queue, tenant_id, backfill_id, priority, state, count(*)::integer as change, min(seq) as lowest
        from new_jobs group by 1, 2, 3, 4, 5
    ) as counted
    group by queue;
    return null;
end
$$;

create function queue.log_updated_jobs() returns trigger language plpgsql as $$
begin
    insert into queue.lane_log (queue, tenants, backfills, priorities, states, changes, lowest)
    select queue, array_agg(tenant_id), array_agg(backfill_id), array_agg(priority), array_agg(state), array_agg(change),
        array_agg(lowest)
    from (
        select queue, tenant_id, backfill_id, priority, state, sum(change)::integer as change, min(seq) as lowest
        from (
            select queue, tenant_id, backfill_id, priority, state, -1 as change, null::bigint as seq from old_jobs
            union all
            select queue, tenant_id, backfill_id, priority, state, 1, seq from new_jobs
        ) as both_sides
        group by 1, 2, 3, 4, 5
        -- A job that takes another's place in a lane changes no count, but where the lane begins.
        having sum(change) <> 0 or state = 'available'
    ) as counted
    group by queue;
    return null;
end
$$;

create function queue.log_deleted_jobs() returns trigger language plpgsql as $$
begin
    insert into queue.lane_log (queue, tenants, backfills, priorities, states, changes, lowest)
    select queue, array_agg(tenant_id), array_agg(backfill_id), array_agg(priority), array_agg(state), array_agg(change),
        array_fill(null::bigint, array[count(*)::integer])
    from (
        select queue, tenant_id, backfill_id, priority, state, -count(*)::integer as change
        from old_jobs group by 1, 2, 3, 4, 5
    ) as counted
    group by queue;
    return null;
end
$$;

create trigger log_inserted after insert on queue.jobs
    referencing new table as new_jobs for each statement execute function queue.log_inserted_jobs();
create trigger log_updated after update on queue.jobs
    referencing old table as old_jobs new table as new_jobs for each statement execute function queue.log_updated_jobs();
create trigger log_deleted after delete on queue.jobs
    referencing old table as old_jobs for each statement execute function queue.log_deleted_jobs();

-- The jobs that are there already.
insert into queue.lane_log (queue, tenants, backfills, priorities, states, changes, lowest)
select queue, array_agg(tenant_id), array_agg(backfill_id), array_agg(priority), array_agg(state), array_agg(change),
    array_agg(lowest)
from (
    select queue, tenant_id, backfill_id, priority, state, count(*)::integer as change, min(seq) as lowest
    from queue.jobs group by 1, 2, 3, 4, 5
) as counted
group by queue;
