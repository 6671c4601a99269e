-- Marks what runs, as claims did.
update queue.jobs j
set state = 'running', run = t.run, attempt = j.attempt + 1, worker_id = t.worker_id, attempted_at = t.at, progress = null
from queue.taken t
where j.seq = t.seq and j.state = 'available' and j.run = t.run - 1;

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

drop view queue.taken;
drop index queue.claims_turn;
alter table queue.claims drop column runs, drop column at;
alter table queue.lane_log drop column of_turn;
