-- A claim writes no job: what it took stands in its row of queue.claims, so that most jobs are written once after their enqueue, when
-- they end. A job that runs for longer is marked in its row by its worker. docs/lanes.md tells how; docs/performance.md has the figures.

-- Not null and without a default: workers of earlier versions would take what is claimed for what waits, so they take nothing more.
alter table queue.claims
    add column runs bigint[],
    add column at timestamptz not null default queue.now();
update queue.claims c set runs = array(
    select coalesce(j.run, 0) from unnest(c.jobs) with ordinality as t (seq, place) left join queue.jobs j using (seq) order by place);
alter table queue.claims alter column runs set not null;
create index claims_turn on queue.claims (queue, no);

comment on column queue.claims.runs is 'The run of each job that it began';
comment on column queue.claims.at is 'When';

-- Security of whoever made it: readers of one tenant have no right to it.
create view queue.taken as
select c.worker_id, c.queue, c.no, c.at, t.seq, t.run
from queue.claims c cross join unnest(c.jobs, c.runs) as t (seq, run);

comment on view queue.taken is 'Claims, job by job. A job that is available, with the run before this one, runs and is not marked yet';

alter table queue.lane_log add column of_turn bigint;

comment on column queue.lane_log.of_turn is 'Counts: the turn of the claim that made them; the lowest of running jobs is then the seq after the last that was taken';

-- A job's run grows when it is marked, or when it ends unmarked. It was running before, by the claim's own count: so much for each run
-- by which the jobs of a lane grew is counted as running and not as available.
create or replace function queue.log_updated_jobs() returns trigger language plpgsql as $$
begin
    insert into queue.lane_log (queue, returned, tenants, backfills, priorities, states, changes, lowest)
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
    select queue, true, array_agg(tenant_id), array_agg(backfill_id), array_agg(priority), array_agg(state), array_agg(change),
        array_agg(lowest)
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
