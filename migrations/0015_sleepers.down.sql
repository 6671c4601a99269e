create or replace function queue.log_inserted_jobs() returns trigger language plpgsql as $$
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

drop table queue.sleepers;
