-- The next stretch of a walk over jobs, upwards by seq from $2 to before $3: up to $4 entries of the index that $1 names,
-- and of those that match, the first $5. Only the branch that $1 names is executed.
with stretch as materialized (
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
        -- Compared as rows, so that only the index on both columns has the order.
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
