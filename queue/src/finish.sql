with outcome as materialized (
    -- The state it must still be in is a column, so that the planner does not take the index of running jobs: by stale
    -- statistics that has one row, and is then read for each outcome.
    select o.*, 'running'::queue.job_state as expected from unnest(
        $1::uuid[], $2::bigint[], $3::text[], $4::jsonb[], $5::text[], $6::text[], $7::float8[], $8::smallint[]
    ) as o (id, run, state, output, code, message, delay_s, refund)
), locked as (
    -- The guard: only the current run of a running job may finish it. Locked in one order, so that finishers of
    -- overlapping batches cannot deadlock.
    select
        o.*,
        (case
            when j.cancel_requested_at is not null and o.state in ('retryable', 'scheduled', 'available') then 'cancelled'
            else o.state
        end)::queue.job_state as new_state,
        queue.now() + make_interval(secs => o.delay_s) as due_at
    from queue.jobs j
    join outcome o on o.id = j.id and o.run = j.run and o.expected = j.state
    order by j.id
    for update of j
)
update queue.jobs j
set state = l.new_state,
    output = coalesce(l.output, j.output),
    attempt = j.attempt - l.refund,
    scheduled_at = case when l.new_state in ('retryable', 'scheduled') then l.due_at else j.scheduled_at end,
    finalized_at = case when l.new_state in ('completed', 'cancelled', 'discarded') then queue.now() end,
    errors = case
        when l.code is null then j.errors
        else j.errors || jsonb_build_object(
            'attempt', j.attempt,
            'at', queue.now(),
            'code', l.code,
            'message', l.message,
            'retry_at', case when l.new_state = 'retryable' then l.due_at end
        )
    end
from locked l
where j.id = l.id
returning j.id, j.queue, j.state::text as "state!", j.traceparent, j.workflow_id
