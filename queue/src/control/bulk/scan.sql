-- Scans the next jobs of a bulk action in order of seq, and finds those that match its filter.
--
-- - $1: the index to read: all, tenant, workflow, backfill, failure, failing_subject, ids or
--   failed; only the branch that it names is executed
-- - $2, $3: the seq after which the scan begins, and the one before which it ends
-- - $4: most rows that it reads
-- - $5: most matching jobs that it returns
-- - $6: states
--
-- The rest of the filter, where null does not filter:
--
-- - $7, $8: kind; queue
-- - $9: tenant
-- - $10, $11: workflow; backfill
-- - $12, $13: enqueued at or after; enqueued before
-- - $14: a pattern that arguments or errors are like, unless the tenant is one of $19
-- - $15: ids
-- - $16: failure
-- - $17, $18: names of arguments, with a dot between levels; their values
-- - $19: tenants whose jobs match $14
-- - $20: subject
--
-- Returns the matching jobs, how many rows match and were read, and the seq of the last row.
with stretch as materialized (
    -- The rows that are read, and whether each one matches.
    select
        s.id, s.seq,
        s.state = any($6::text[]::queue.job_state[])
            and ($7::text is null or s.kind = $7)
            and ($8::text is null or s.queue = $8)
            and ($9::uuid is null or s.tenant_id = $9)
            and ($10::uuid is null or s.workflow_id = $10)
            and ($11::uuid is null or s.backfill_id = $11)
            and ($12::timestamptz is null or s.created_at >= $12)
            and ($13::timestamptz is null or s.created_at < $13)
            and ($14::text is null or s.args::text ilike $14 or s.errors::text ilike $14 or s.tenant_id = any($19::uuid[]))
            and ($15::uuid[] is null or s.id = any($15))
            and ($16::bigint is null or s.failure_id = $16 and s.cold_state in ('retryable', 'discarded'))
            and ($20::text is null or s.subject = $20)
            and ($17::text[] is null or not exists (
                select from unnest($17::text[], $18::text[]) as a (name, value)
                where s.args #>> string_to_array(a.name, '.') is distinct from a.value)) as matches
    from (
        (select * from queue.jobs where $1 = 'all' and seq > $2 and seq < $3 order by seq limit $4)
        union all
        -- Compared as rows: only the index on both columns has their order.
        (select * from queue.jobs
         where $1 = 'tenant' and (tenant_id, seq) > ($9, $2) and (tenant_id, seq) < ($9, $3)
         order by tenant_id, seq limit $4)
        union all
        (select * from queue.jobs
         where $1 = 'workflow' and workflow_id is not null
           and (workflow_id, seq) > ($10, $2) and (workflow_id, seq) < ($10, $3)
         order by workflow_id, seq limit $4)
        union all
        (select * from queue.jobs
         where $1 = 'backfill' and backfill_id is not null
           and (backfill_id, seq) > ($11, $2) and (backfill_id, seq) < ($11, $3)
         order by backfill_id, seq limit $4)
        union all
        (select * from queue.jobs
         where $1 = 'failure' and failure_id is not null and cold_state in ('retryable', 'discarded')
           and (failure_id, seq) > ($16, $2) and (failure_id, seq) < ($16, $3)
         order by failure_id, seq limit $4)
        union all
        (select * from queue.jobs
         where $1 = 'failing_subject' and cold_state in ('retryable', 'cancelled', 'discarded')
           and tenant_id = $9 and subject = $20 and seq > $2 and seq < $3
         order by seq limit $4)
        union all
        (select j.* from unnest($15::uuid[]) as w (id)
         cross join lateral (select * from queue.jobs where id = w.id offset 0) j
         where $1 = 'ids' and j.seq > $2 and j.seq < $3
         order by j.seq limit $4)
        union all
        (select * from (
            (select * from queue.jobs
             where $1 = 'failed' and 'discarded' = any($6) and cold_state = 'discarded' and seq > $2 and seq < $3
             order by seq limit $4)
            union all
            (select * from queue.jobs
             where $1 = 'failed' and 'cancelled' = any($6) and cold_state = 'cancelled' and seq > $2 and seq < $3
             order by seq limit $4)
        ) failed order by seq limit $4)
    ) s
), hit as (
    select id, seq from stretch where matches order by seq limit $5
)
select
    array(select id from hit order by seq) as "ids!",
    array(select seq from hit order by seq) as "seqs!",
    (select count(*) from stretch where matches) as "matched!",
    (select count(*) from stretch) as "seen!",
    (select max(seq) from stretch) as last
