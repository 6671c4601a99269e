with outcome as materialized (
    -- The state it must still be in is a column, so that the planner takes no index of states: by stale statistics few are
    -- running. In one order, so that finishers of overlapping batches do not wait for each other in a circle.
    select
        o.id, o.run, o.output, o.code, o.message, o.refund, o.state::queue.job_state,
        'running'::queue.job_state as expected,
        -- A job that was told to stop does not come back.
        (case when o.state in ('retryable', 'scheduled', 'available') then 'cancelled' else o.state end)::queue.job_state
            as when_cancelled,
        queue.now() + make_interval(secs => o.delay_s) as due_at
    from unnest(
        $1::uuid[], $2::bigint[], $3::text[], $4::jsonb[], $5::text[], $6::text[], $7::float8[], $8::smallint[]
    ) as o (id, run, state, output, code, message, delay_s, refund)
    order by o.id
)
-- The guard: only the current run of a running job may finish it.
update queue.jobs j
set state = case when j.cancel_requested_at is null then o.state else o.when_cancelled end,
    output = coalesce(o.output, j.output),
    attempt = j.attempt - o.refund,
    scheduled_at = case
        when o.state in ('retryable', 'scheduled') and j.cancel_requested_at is null then o.due_at
        else j.scheduled_at
    end,
    finalized_at = case
        when o.state in ('completed', 'cancelled', 'discarded') or j.cancel_requested_at is not null then queue.now()
    end,
    errors = case
        when o.code is null then j.errors
        else j.errors || jsonb_build_object(
            'attempt', j.attempt,
            'at', queue.now(),
            'code', o.code,
            'message', o.message,
            'retry_at', case when o.state = 'retryable' and j.cancel_requested_at is null then o.due_at end
        )
    end
from outcome o
where j.id = o.id and j.run = o.run and j.state = o.expected
returning j.id, j.queue, j.state::text as "state!", j.traceparent, j.workflow_id
