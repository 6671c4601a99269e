-- What does not simply complete. The same guard as there.
with outcome as materialized (
    select
        o.seq, o.run, o.code, o.message, o.refund, o.state::queue.job_state,
        'running'::queue.job_state as expected,
        -- A job that was told to stop does not come back.
        (case when o.state in ('retryable', 'scheduled', 'available') then 'cancelled' else o.state end)::queue.job_state
            as when_cancelled,
        queue.now() + make_interval(secs => o.delay_s) as due_at
    from unnest(
        $1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::smallint[]
    ) as o (seq, run, state, code, message, delay_s, refund)
)
update queue.jobs j
set state = case when j.cancel_requested_at is null then o.state else o.when_cancelled end,
    attempt = j.attempt - o.refund,
    scheduled_at = case
        when o.state in ('retryable', 'scheduled') and j.cancel_requested_at is null then o.due_at
        else j.scheduled_at
    end,
    finalized_at = case
        when o.state in ('cancelled', 'discarded') or j.cancel_requested_at is not null then queue.now()
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
where j.seq = o.seq and j.run = o.run and j.state = o.expected
returning j.seq, j.queue, j.state::text as "state!"
