-- Inserts jobs of the past, spread over a week until now: 97 to 98 in a hundred completed, a few
-- discarded or cancelled. A job in twenty is a slice of a backfill, by day and by tenant.
--
-- - $1, $2 bigint: the numbers of the first and the last job, from 1
-- - $3 bigint: how many jobs there will be in all
-- - $4 uuid[]: the tenants
-- - $5, $6 text[]: queue and kind of each job of 1,000
-- - $7 uuid[]: the backfills
-- - $8 boolean: whether some are retried or scheduled for tomorrow, and most of the last ones may
--   start
-- - $9 timestamptz: now
-- - $10 date: the last day of the backfills
insert into queue.jobs (id, tenant_id, queue, kind, state, attempt, max_attempts, run, args, subject, output, errors,
    failure_id, workflow_id, backfill_id, created_at, scheduled_at, attempted_at, finalized_at)
select
    -- A UUIDv7 of its time.
    encode(set_byte(overlay(
        uuid_send(gen_random_uuid()) placing substring(
            int8send((extract(epoch from at) * 1000)::bigint) from 3) from 1), 6, 112), 'hex')::uuid,
    tenant, queue, kind, state, attempt, 10, attempt,
    jsonb_build_object('tenant', tenant, 'date', day), day::text,
    case when state = 'completed' then '{"rows": 120}'::jsonb end,
    case when state in ('discarded', 'retryable') then jsonb_build_array(jsonb_build_object(
        'attempt', attempt, 'at', at, 'code', 'upstream_unavailable', 'message', 'the source answered 503 for part ' || part,
        'retry_at', null))
    else '[]' end,
    case when state in ('discarded', 'retryable') then
        queue.failure_id(kind, 'upstream_unavailable', 'the source answered # for part ' || part)
    end,
    case when n / 6 % 12 = 0 then md5('workflow' || n / 6)::uuid end,
    backfill,
    at,
    case when state in ('scheduled', 'retryable') then $9 + interval '1 day' else at end,
    case when attempt > 0 then at + interval '1 second' end,
    case when state in ('completed', 'discarded', 'cancelled') then at + interval '2 seconds' end
from (
    select *,
        case state when 'completed' then 1 when 'discarded' then 3 when 'retryable' then 3 else 0 end as attempt,
        chr(97 + (n % 26)::integer) as part
    from (
        select
            n, at,
            $7[1 + slice / per_backfill] as backfill,
            $4[1 + coalesce(slice % per_backfill, n * 7919) % cardinality($4)] as tenant,
            coalesce($10 - (slice % per_backfill / cardinality($4))::integer, at::date) as day,
            -- $5 and $6 have a queue and a kind for each job of 1,000.
            case when slice is null then $5[1 + random_kind % 1000] else 'kpi' end as queue,
            case when slice is null then $6[1 + random_kind % 1000] else 'compute_kpi' end as kind,
            (case
                when $8 and n > $3 - $3 / 500 then case when n % 10 < 8 then 'available' else 'scheduled' end
                when random_state % 1000 < 10 then 'discarded'
                when random_state % 1000 < 18 then 'cancelled'
                when $8 and random_state % 1000 < 20 then 'retryable'
                else 'completed'
            end)::queue.job_state as state
        from generate_series($1, $2) as n
        -- The same in every run, and independent of each other.
        cross join lateral (
            select hashint8(n) & 2147483647, hashint8(n + $3) & 2147483647
        ) as r (random_kind, random_state)
        cross join lateral (
            select $9 - interval '7 days' * (1 - n::float8 / $3), case when n % 20 = 7 and cardinality($7) > 0 then n / 20 end,
                $3 / 20 / nullif(cardinality($7), 0)
        ) as p (at, slice, per_backfill)
    ) placed
) job
