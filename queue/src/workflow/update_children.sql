-- Changes the counts and states of children, which the transaction has locked or just inserted.
--
-- - $1: children
-- - $2: for each, the change of its number of pending edges
-- - $3: for each, the change of its number of failed edges
-- - $4: for each, a parent that has failed, if there is one
--
-- Returns each child's state before and after.
with change as (
    select * from unnest($1::uuid[], $2::integer[], $3::integer[], $4::uuid[]) as t (id, pending, failed, failed_parent)
), child as (
    -- The counts that each child has now, and whether it may be retried.
    select
        c.id, c.state as was, c.unique_key, c.scheduled_at, t.failed_parent,
        c.pending_parents + t.pending as pending,
        c.failed_parents + t.failed as failed,
        -- Only a job that was cancelled because a parent failed is retried with its parent; that is
        -- then its last error. One that had a private argument has lost it.
        c.state = 'cancelled' and not c.has_private and c.failed_parents > 0 and c.failed_parents + t.failed = 0
            and c.errors -> -1 ->> 'code' = 'dependency_failed'
            and (c.errors -> -1 ->> 'at')::timestamptz = c.finalized_at as may_be_retried
    from change t join queue.jobs c on c.id = t.id
), retried as (
    -- A child with a live duplicate stays as it is, and of two duplicates only one is retried.
    select distinct on (coalesce(unique_key, uuid_send(id))) id
    from child
    where may_be_retried and not exists (select from queue.jobs t where t.live_key = child.unique_key)
    order by coalesce(unique_key, uuid_send(id)), id
), decided as (
    -- The state that each child has from now on.
    select
        child.*, retried.id is not null as is_retried,
        (case
            when was = 'waiting' and failed > 0 then 'cancelled'
            when was <> 'waiting' and retried.id is null then was::text
            when pending > 0 then 'waiting'
            when scheduled_at > queue.now() then 'scheduled'
            else 'available'
        end)::queue.job_state as now
    from child left join retried using (id)
)
update queue.jobs c
set pending_parents = d.pending,
    failed_parents = d.failed,
    state = d.now,
    -- Of an available job, this is the time since when it may start.
    scheduled_at = case when d.was <> d.now and d.now = 'available' then queue.now() else c.scheduled_at end,
    attempt = case when d.is_retried then 0 else c.attempt end,
    progress = case when d.is_retried then null else c.progress end,
    finalized_at = case
        when d.is_retried then null
        when d.was = 'waiting' and d.now = 'cancelled' then queue.now()
        else c.finalized_at
    end,
    cancelled_by = case
        when d.is_retried then null
        when d.was = 'waiting' and d.now = 'cancelled' then d.failed_parent
        else c.cancelled_by
    end,
    errors = case
        when d.was = 'waiting' and d.now = 'cancelled' then c.errors || jsonb_build_object(
            'attempt', c.attempt, 'at', queue.now(), 'code', 'dependency_failed', 'retry_at', null,
            'message', (select p.kind || ' ' || p.id || ' was ' || p.state from queue.jobs p where p.id = d.failed_parent))
        else c.errors
    end
from decided d
where c.id = d.id
returning c.id, c.queue, d.was::text as "was!: JobState", d.now::text as "now!: JobState"
