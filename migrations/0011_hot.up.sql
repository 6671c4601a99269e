-- A claim changes a job's row and no index, and so does the finish of a job without a unique key and outside of backfills: no
-- index names a column that they change, so that Postgres writes the new row beside the old one (HOT). docs/performance.md
-- has the figures.

alter table queue.jobs set (fillfactor = 50);

alter table queue.jobs
    add column aside queue.job_state generated always as (
        case when state in ('waiting', 'scheduled', 'retryable', 'cancelled', 'discarded') then state end) stored,
    add column live_key bytea generated always as (
        case when state in ('waiting', 'scheduled', 'available', 'running', 'retryable') then unique_key end) stored,
    add column live_backfill_id uuid generated always as (
        case when state in ('waiting', 'scheduled', 'available', 'running', 'retryable') then backfill_id end) stored;

comment on column queue.jobs.aside is 'The state, unless it is one that every job goes through (available, running, completed): for indexes';
comment on column queue.jobs.live_key is 'The unique key, while the job is not final: no other live job may have it';
comment on column queue.jobs.live_backfill_id is 'The backfill, while the job is not final';

drop index queue.jobs_running;

drop index queue.jobs_due;
create index jobs_due on queue.jobs (scheduled_at) where aside in ('scheduled', 'retryable');
drop index queue.jobs_unique;
create unique index jobs_unique on queue.jobs (live_key) where live_key is not null;
drop index queue.jobs_discarded;
create index jobs_discarded on queue.jobs (seq) where aside = 'discarded';
drop index queue.jobs_cancelled;
create index jobs_cancelled on queue.jobs (seq) where aside = 'cancelled';
drop index queue.jobs_backfill_live;
create index jobs_backfill_live on queue.jobs (live_backfill_id, seq) where live_backfill_id is not null;
drop index queue.jobs_backfill_failed;
create index jobs_backfill_failed on queue.jobs (backfill_id, seq) where backfill_id is not null and aside = 'discarded';
drop index queue.jobs_failed_day;
create index jobs_failed_day on queue.jobs (kind, tenant_id, left(args ->> 'date', 10)) where aside in ('discarded', 'cancelled');

-- Whole lanes, read from a cursor on.
drop index queue.jobs_lane;
create index jobs_lane on queue.jobs (queue, tenant_id, priority, seq) where backfill_id is null;
drop index queue.jobs_backfill_lane;
create index jobs_backfill_lane on queue.jobs (queue, tenant_id, backfill_id, priority, seq) where backfill_id is not null;

create table queue.claims (
    worker_id uuid not null,
    queue     text not null,
    no        bigint not null,
    jobs      bigint[] not null,
    primary key (worker_id, queue, no)
);

comment on table queue.claims is 'What each worker took and has not finished all of: where the jobs of a dead worker are found';
comment on column queue.claims.worker_id is 'The worker';
comment on column queue.claims.queue is 'The queue';
comment on column queue.claims.no is 'The turn of the claim';
comment on column queue.claims.jobs is 'The seq of each job it took';

insert into queue.claims (worker_id, queue, no, jobs)
select worker_id, queue, 0, array_agg(seq) from queue.jobs
where state = 'running' and worker_id is not null group by worker_id, queue;

-- Jobs that come back into a lane, behind what was claimed since, are told one by one, so that nobody has to search for them.
alter table queue.lane_log add column returned boolean not null default false;

comment on column queue.lane_log.returned is 'Counts: jobs that were there before changed; each that became available has an element of its own, with its seq as lowest';

create or replace function queue.log_updated_jobs() returns trigger language plpgsql as $$
begin
    insert into queue.lane_log (queue, returned, tenants, backfills, priorities, states, changes, lowest)
    select queue, true, array_agg(tenant_id), array_agg(backfill_id), array_agg(priority), array_agg(state), array_agg(change),
        array_agg(lowest)
    from (
        select queue, tenant_id, backfill_id, priority, state, sum(change)::integer as change, min(seq) as lowest
        from (
            select queue, tenant_id, backfill_id, priority, state, -1 as change, null::bigint as seq from old_jobs
            union all
            select queue, tenant_id, backfill_id, priority, state, 1, seq from new_jobs
        ) as both_sides
        group by 1, 2, 3, 4, 5, case when state = 'available' and change > 0 then seq end
        having sum(change) <> 0
    ) as counted
    group by queue;
    return null;
end
$$;
