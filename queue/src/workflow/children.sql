with told as (
    select * from unnest($1::uuid[], $2::integer[], $3::integer[], $4::uuid[]) as t (id, pending, failed, culprit)
), child as (
    select
        c.id, c.state as was, c.unique_key, c.scheduled_at, t.culprit,
        c.pending_parents + t.pending as pending,
        c.failed_parents + t.failed as failed,
        -- Only a job that a parent's failure cancelled lives again by itself: that error is its end.
        c.state = 'cancelled' and c.failed_parents > 0 and c.failed_parents + t.failed = 0
            and c.errors -> -1 ->> 'code' = 'dependency_failed'
            and (c.errors -> -1 ->> 'at')::timestamptz = c.finalized_at as may_live
    from told t join queue.jobs c on c.id = t.id
), reviving as (
    -- Beside a live twin it stays as it is, and of two twins only one lives.
    select distinct on (coalesce(unique_key, uuid_send(id))) id
    from child
    where may_live and not exists (select from queue.jobs t where t.live_key = child.unique_key)
    order by coalesce(unique_key, uuid_send(id)), id
), decided as (
    select
        child.*, reviving.id is not null as revives,
        (case
            when was = 'waiting' and failed > 0 then 'cancelled'
            when was <> 'waiting' and reviving.id is null then was::text
            when pending > 0 then 'waiting'
            when scheduled_at > queue.now() then 'scheduled'
            else 'available'
        end)::queue.job_state as now
    from child left join reviving using (id)
)
update queue.jobs c
set pending_parents = d.pending,
    failed_parents = d.failed,
    state = d.now,
    -- Since when it may start.
    scheduled_at = case when d.was <> d.now and d.now = 'available' then queue.now() else c.scheduled_at end,
    attempt = case when d.revives then 0 else c.attempt end,
    progress = case when d.revives then null else c.progress end,
    finalized_at = case
        when d.revives then null
        when d.was = 'waiting' and d.now = 'cancelled' then queue.now()
        else c.finalized_at
    end,
    cancelled_by = case
        when d.revives then null
        when d.was = 'waiting' and d.now = 'cancelled' then d.culprit
        else c.cancelled_by
    end,
    errors = case
        when d.was = 'waiting' and d.now = 'cancelled' then c.errors || jsonb_build_object(
            'attempt', c.attempt, 'at', queue.now(), 'code', 'dependency_failed', 'retry_at', null,
            'message', (select p.kind || ' ' || p.id || ' was ' || p.state from queue.jobs p where p.id = d.culprit))
        else c.errors
    end
from decided d
where c.id = d.id
returning c.id, c.queue, d.was::text as "was!", d.now::text as "now!"
