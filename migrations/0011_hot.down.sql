create or replace function queue.log_updated_jobs() returns trigger language plpgsql as $$
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

alter table queue.lane_log drop column returned;

drop table queue.claims;

drop index queue.jobs_due;
drop index queue.jobs_unique;
drop index queue.jobs_discarded;
drop index queue.jobs_cancelled;
drop index queue.jobs_backfill_live;
drop index queue.jobs_backfill_failed;
drop index queue.jobs_failed_day;
drop index queue.jobs_lane;
drop index queue.jobs_backfill_lane;

alter table queue.jobs drop column aside, drop column live_key, drop column live_backfill_id;
alter table queue.jobs reset (fillfactor);

create index jobs_running on queue.jobs (worker_id) where state = 'running';
create index jobs_due on queue.jobs (scheduled_at) where state in ('scheduled', 'retryable');
create unique index jobs_unique on queue.jobs (unique_key)
    where unique_key is not null and state in ('waiting', 'scheduled', 'available', 'running', 'retryable');
create index jobs_discarded on queue.jobs (seq) where state = 'discarded';
create index jobs_cancelled on queue.jobs (seq) where state = 'cancelled';
create index jobs_backfill_live on queue.jobs (backfill_id, seq)
    where backfill_id is not null and state in ('waiting', 'scheduled', 'available', 'running', 'retryable');
create index jobs_backfill_failed on queue.jobs (backfill_id, seq) where backfill_id is not null and state = 'discarded';
create index jobs_failed_day on queue.jobs (kind, tenant_id, left(args ->> 'date', 10)) where state in ('discarded', 'cancelled');
create index jobs_lane on queue.jobs (queue, tenant_id, priority, seq) where state = 'available' and backfill_id is null;
create index jobs_backfill_lane on queue.jobs (queue, tenant_id, backfill_id, priority, seq)
    where state = 'available' and backfill_id is not null;
