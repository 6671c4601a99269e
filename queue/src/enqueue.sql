with inserted as (
    insert into queue.jobs (
        id, tenant_id, queue, kind, state, priority, max_attempts, pending_parents,
        args, unique_key, workflow_id, backfill_id, name, traceparent, created_at, scheduled_at
    )
    select
        n.id, n.tenant_id, n.queue, n.kind,
        (case
            when n.parents > 0 then 'waiting'
            when due.at > queue.now() then 'scheduled'
            else 'available'
        end)::queue.job_state,
        n.priority, n.max_attempts, n.parents,
        n.args, n.unique_key, n.workflow_id, n.backfill_id, n.name, n.traceparent,
        -- The time of the row, not of the transaction: jobs are numbered and dated in the same order.
        clock_timestamp() + (queue.now() - now()), due.at
    from unnest(
        $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::jsonb[], $6::smallint[], $7::smallint[],
        $8::timestamptz[], $9::float8[], $10::bytea[], $11::uuid[], $12::uuid[], $13::text[], $14::integer[], $15::text[]
    ) with ordinality as n (
        id, tenant_id, queue, kind, args, priority, max_attempts,
        run_at, delay_s, unique_key, workflow_id, backfill_id, traceparent, parents, name, position
    )
    cross join lateral (select coalesce(n.run_at, queue.now() + make_interval(secs => n.delay_s)) as at) as due
    order by n.position
    -- A live job with the same unique key stays the only one.
    on conflict (live_key) where live_key is not null do nothing
    returning id, queue, state
), woken as materialized (
    -- When this commits. Postgres folds equal notices of one transaction.
    select count(pg_notify($16, queue)) as queues from (select distinct queue from inserted where state = 'available') as q
)
select id from inserted, woken
