-- Changes the counts and states of children, which the transaction has locked or just inserted.
--
-- - $1: children
-- - $2: for each, the change of its number of pending edges
-- - $3: for each, the change of its number of failed edges
-- - $4: for each, a parent that has failed, if there is one
--
-- Returns each child's state before and after.
with told as (
    select * from unnest($1::uuid[], $2::integer[], $3::integer[], $4::uuid[]) as t (id, pending, failed, culprit)
), child as (
    -- The counts that each child has now, and whether it may be retried.
    select
        c.id, c.state as was, c.unique_key, c.scheduled_at, t.culprit,
        c.pending_parents + t.pending as pending,
        c.failed_parents + t.failed as failed,
        -- Only a job that was cancelled because a parent failed is retried with its parent; that is
        -- then its last error.
        c.state = 'cancelled' and c.failed_parents > 0 and c.failed_parents + t.failed = 0
            and c.errors -> -1 ->> 'code' = 'dependency_failed'
            and (c.errors -> -1 ->> 'at')::timestamptz = c.finalized_at as may_live
    from told t join queue.jobs c on c.id = t.id
), reviving as (
    -- A child with a live duplicate stays as it is, and of two duplicates only one is retried.
    select distinct on (coalesce(unique_key, uuid_send(id))) id
    from child
    where may_live and not exists (select from queue.jobs t where t.live_key = child.unique_key)
    order by coalesce(unique_key, uuid_send(id)), id
), decided as (
    -- The state that each child has from now on.
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
    -- Of an available job, this is the time since when it may start.
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
