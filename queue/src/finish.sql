-- What does not simply complete. The same guard as there. Failures are told apart by kind, code and pattern.
with outcome as materialized (
    select
        o.*, o.state::queue.job_state as new_state,
        'running'::queue.job_state as marked, 'available'::queue.job_state as unmarked,
        -- A job that was told to stop does not come back.
        (case when o.state in ('retryable', 'scheduled', 'available') then 'cancelled' else o.state end)::queue.job_state
            as when_cancelled,
        queue.now() + make_interval(secs => o.delay_s) as due_at
    from unnest(
        $1::bigint[], $2::bigint[], $3::smallint[], $4::uuid[], $5::timestamptz[], $6::text[], $7::text[], $8::text[], $9::float8[],
        $10::smallint[], $11::text[]
    ) as o (seq, run, attempt, worker_id, at, state, code, message, delay_s, refund, pattern)
), ended as (
    update queue.jobs j
    set state = case when j.cancel_requested_at is null then o.new_state else o.when_cancelled end,
        run = o.run,
        attempt = o.attempt - o.refund,
        worker_id = o.worker_id,
        attempted_at = o.at,
        progress = case when j.run = o.run then j.progress end,
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
                'attempt', o.attempt,
                'at', queue.now(),
                'code', o.code,
                'message', o.message,
                'retry_at', case when o.state = 'retryable' and j.cancel_requested_at is null then o.due_at end
            )
        end,
        failure_id = coalesce(queue.failure_id(j.kind, o.code, o.pattern), j.failure_id)
    from outcome o
    where j.seq = o.seq and (j.run = o.run and j.state = o.marked or j.run = o.run - 1 and j.state = o.unmarked)
    returning j.seq, j.queue, j.state, j.kind, j.failure_id, o.code, o.pattern
), noted as (
    -- Before anybody finds a job that stands in it. In one order, so that two finishers do not wait for each other in a circle.
    insert into queue.failures (id, kind, code, pattern, first_seen, last_seen, seen)
    select distinct failure_id, kind, code, pattern, queue.now(), queue.now(), 0 from ended where code is not null
    order by failure_id
    on conflict (id) do nothing
)
select seq as "seq!", queue as "queue!", state::text as "state!" from ended
