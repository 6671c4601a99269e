-- Settings of queues and lanes, and the log from which every worker knows what waits and what runs
-- in each lane. docs/lanes.md tells how a claim is decided.

create table queue.queues (
    name        text primary key,
    paused      boolean not null default false,
    limits      jsonb not null default '{}',
    lane_limits jsonb not null default '{}'
);

comment on table queue.queues is 'Settings of queues; a queue without a row has none';
comment on column queue.queues.name is 'Name of the queue';
comment on column queue.queues.paused is 'Whether none of its jobs starts';
comment on column queue.queues.limits is
    'Of all its lanes together: {"rate", "period_ms", "burst", "max_running"}, each may be '
    'missing';
comment on column queue.queues.lane_limits is
    'Of each lane that has no limits of its own: as limits, and "weight"';

create table queue.lanes (
    tenant_id uuid not null,
    queue     text not null,
    paused    boolean not null default false,
    limits    jsonb,
    primary key (tenant_id, queue)
);

create index lanes_paused on queue.lanes (tenant_id) where paused;

comment on table queue.lanes is 'Settings of lanes; a lane without a row has those of its queue';
comment on column queue.lanes.tenant_id is 'Whose lane it is';
comment on column queue.lanes.queue is 'The queue';
comment on column queue.lanes.paused is 'Whether none of its jobs starts';
comment on column queue.lanes.limits is
    '{"rate", "period_ms", "burst", "max_running", "weight"} in place of the queue''s '
    'lane_limits; null for these';

alter table queue.lanes enable row level security;
create policy tenant_reads on queue.lanes for select to weirgate_tenant
    using (tenant_id = nullif(current_setting('weirgate.tenant', true), '')::uuid);
grant select on queue.lanes to weirgate_tenant;

-- Rows are added and never updated. A reader takes the rows that its last snapshot did not show, by
-- transaction id, so that it finds each exactly once and never walks over old ones, dead or alive.
-- A claim takes the next number of its queue: one that was decided on an outdated view finds the
-- number taken, and changes nothing.
create table queue.lane_log (
    queue         text not null,
    txid          bigint not null default pg_current_xact_id()::text::bigint,
    at            timestamptz not null default queue.now(),
    claim_seq     bigint,
    worker_id     uuid,
    virtual_times double precision[],
    queue_tat     timestamptz,
    tenants       uuid[] not null default '{}',
    backfills     uuid[] not null default '{}',
    priorities    smallint[] not null default '{}',
    states        queue.job_state[] not null default '{}',
    changes       integer[] not null default '{}',
    lowest        bigint[] not null default '{}',
    tags          double precision[] not null default '{}',
    tats          timestamptz[] not null default '{}',
    requeued      boolean not null default false,
    of_claim_seq  bigint,
    snapshot_xmax bigint,
    snapshot_xip  bigint[]
) with (toast_tuple_target=8160);
alter table queue.lane_log add constraint lane_log_claims_have_snapshot
    check (of_claim_seq is null or snapshot_xmax is not null and snapshot_xip is not null) not valid;

create index lane_log_new on queue.lane_log (queue, txid);
create unique index lane_log_claim_seq on queue.lane_log (queue, claim_seq) where claim_seq is not null;

comment on table queue.lane_log is
    'What changed in the lanes of a queue: claims and changes of settings, which are numbered, '
    'and changes of job counts';
comment on column queue.lane_log.queue is 'The queue';
comment on column queue.lane_log.txid is 'The transaction that wrote it';
comment on column queue.lane_log.at is 'When the row was written';
comment on column queue.lane_log.claim_seq is
    'The number of the claim or change of settings in its queue; null for changes of counts';
comment on column queue.lane_log.worker_id is
    'The worker that claimed; null where settings changed';
comment on column queue.lane_log.virtual_times is
    'Virtual times of the queue after a claim: of live work, and of backfills';
comment on column queue.lane_log.queue_tat is
    'Theoretical arrival time of the whole queue after a claim; null without a rate';
comment on column queue.lane_log.tenants is
    'Element i of each array belongs to one lane; this array holds the tenants';
comment on column queue.lane_log.backfills is
    'The backfill that the jobs belong to; null for live work';
comment on column queue.lane_log.priorities is 'Counts: priority of the jobs';
comment on column queue.lane_log.states is 'Counts: state of the jobs';
comment on column queue.lane_log.changes is 'Counts: by how much the number of these jobs changed';
comment on column queue.lane_log.lowest is 'Counts: the lowest seq that came into the state';
comment on column queue.lane_log.tags is
    'Claims: the finish tag of the sub-lane, in virtual time (start-time fair queueing)';
comment on column queue.lane_log.tats is
    'Claims: the theoretical arrival time of the lane (GCRA); null without a rate';
comment on column queue.lane_log.requeued is
    'Counts: an update changed jobs that were there before; each job that became available has an '
    'element of its own, with its seq as lowest';
comment on column queue.lane_log.of_claim_seq is
    'Counts of a claim: the claim''s number; the lowest of running jobs is then the seq after the '
    'last that was claimed';
comment on column queue.lane_log.snapshot_xmax is
    'Counts of a claim: the xmax of the snapshot that the claim was decided on; null in rows that '
    'a former version wrote';
comment on column queue.lane_log.snapshot_xip is
    'Counts of a claim: the transactions below snapshot_xmax that were in progress in that '
    'snapshot';

-- Rows without a primary key can then be replicated logically.
alter table queue.lane_log replica identity full;

create table queue.view_checkpoints (
    queue       text not null,
    at          timestamptz not null,
    oldest_txid bigint not null,
    claim_seq   bigint not null,
    view        jsonb not null,
    history     uuid default queue.recorded_history(),
    primary key (queue, at)
);

comment on table queue.view_checkpoints is
    'The view of a queue, written down now and then, from which a worker that starts reads the '
    'log on';
comment on column queue.view_checkpoints.queue is 'The queue';
comment on column queue.view_checkpoints.at is 'When the view was written down';
comment on column queue.view_checkpoints.oldest_txid is
    'Every transaction below this id is in the view';
comment on column queue.view_checkpoints.claim_seq is
    'The last claim sequence number that is in the view';
comment on column queue.view_checkpoints.view is
    'Counts, finish tags and arrival times of the lanes, and the snapshot that they are of';
comment on column queue.view_checkpoints.history is
    'The history that the transaction ids belong to';

-- Whoever changes a job's state counts the change in the same transaction, so that counts and jobs
-- cannot differ.
create function queue.log_inserted_jobs() returns trigger language plpgsql as $$
begin
    insert into queue.lane_log (queue, tenants, backfills, priorities, states, changes, lowest)
    select queue, array_agg(tenant_id), array_agg(backfill_id), array_agg(priority), array_agg(state),
        array_agg(change), array_agg(lowest)
    from (
        select queue, tenant_id, backfill_id, priority, state, count(*)::integer as change, min(seq) as lowest
        from new_jobs group by 1, 2, 3, 4, 5
    ) as counted
    group by queue;
    -- A statement of its own, as it must see more than the one that inserts: a worker that is not
    -- visible here began to wait after this transaction got its id, and finds the transaction in
    -- progress. Where all statements of a transaction share one snapshot, that cannot be relied on,
    -- and everybody is notified.
    perform pg_notify('weirgate_jobs', woken.queue)
    from (select distinct queue from new_jobs where state = 'available') as woken
    where exists (select from queue.waiters s where s.queue = woken.queue)
        or current_setting('transaction_isolation') <> 'read committed';
    return null;
end
$$;

create trigger log_inserted after insert on queue.jobs
    referencing new table as new_jobs for each statement execute function queue.log_inserted_jobs();

-- The run of a job grows when `running` is persisted, or when the job ends before that. The claim
-- counted the job as running already: as many jobs as the runs of a lane grew by are therefore
-- counted as running and not as available.
create function queue.log_updated_jobs() returns trigger language plpgsql as $$
begin
    insert into queue.lane_log (queue, requeued, tenants, backfills, priorities, states, changes, lowest)
    with counted as materialized (
        select queue, tenant_id, backfill_id, priority, state, sum(change)::integer as change, min(seq) as lowest,
            sum(change * run)::integer as runs
        from (
            select queue, tenant_id, backfill_id, priority, state, run, -1 as change, null::bigint as seq from old_jobs
            union all
            select queue, tenant_id, backfill_id, priority, state, run, 1, seq from new_jobs
        ) as both_sides
        group by 1, 2, 3, 4, 5, case when state = 'available' and change > 0 then seq end
    ), begun as (
        -- A change of priority moves runs from one to the other, and begins none.
        select queue, tenant_id, backfill_id, priority, sum(runs)::integer as runs from counted
        where (select sum(runs) from counted) > 0 group by 1, 2, 3, 4 having sum(runs) <> 0
    )
    select queue, true, array_agg(tenant_id), array_agg(backfill_id), array_agg(priority), array_agg(state),
        array_agg(change), array_agg(lowest)
    from (
        select queue, tenant_id, backfill_id, priority, state, sum(change)::integer as change, lowest
        from (
            select queue, tenant_id, backfill_id, priority, state, change,
                case when state = 'available' and change > 0 then lowest end as lowest
            from counted
            union all
            select queue, tenant_id, backfill_id, priority, moved.state, runs * moved.sign, null
            from begun cross join (values ('available'::queue.job_state, 1), ('running', -1)) as moved (state, sign)
        ) as all_sides
        group by 1, 2, 3, 4, 5, 7
        having sum(change) <> 0
    ) as summed
    group by queue;
    return null;
end
$$;

create trigger log_updated after update on queue.jobs
    referencing old table as old_jobs new table as new_jobs for each statement
    execute function queue.log_updated_jobs();

create function queue.log_deleted_jobs() returns trigger language plpgsql as $$
begin
    insert into queue.lane_log (queue, tenants, backfills, priorities, states, changes, lowest)
    select queue, array_agg(tenant_id), array_agg(backfill_id), array_agg(priority), array_agg(state),
        array_agg(change), array_fill(null::bigint, array[count(*)::integer])
    from (
        select queue, tenant_id, backfill_id, priority, state, -count(*)::integer as change
        from old_jobs group by 1, 2, 3, 4, 5
    ) as counted
    group by queue;
    return null;
end
$$;

create trigger log_deleted after delete on queue.jobs
    referencing old table as old_jobs for each statement execute function queue.log_deleted_jobs();
