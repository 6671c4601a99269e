-- A walk for a page, downwards by seq from below $2 to $3, at most $4 entries of the index that $1 names: the first $5 of those that
-- match, and where it ended if there may be more. Only the branches that $1 names are executed.
--
-- Beginnings are compared as rows, so that only the index on both columns has the order. Such an index is read on as long as its first
-- column fits, whatever is said of the second one: so it is counted first, in the index alone, how far the walk goes.
with entry as materialized (
    (select null::queue.job_state as state, seq from queue.jobs where $1 = 'all' and seq < $2 and seq >= $3 order by seq desc limit $4)
    union all
    (select null, seq from queue.jobs
     where $1 = 'tenant' and (tenant_id, seq) < ($9, $2) and tenant_id >= $9
     order by tenant_id desc, seq desc limit $4)
    union all
    (select null, seq from queue.jobs
     where $1 = 'workflow' and workflow_id is not null and (workflow_id, seq) < ($10, $2) and workflow_id >= $10
     order by workflow_id desc, seq desc limit $4)
    union all
    (select null, seq from queue.jobs
     where $1 = 'backfill' and backfill_id is not null and (backfill_id, seq) < ($11, $2) and backfill_id >= $11
     order by backfill_id desc, seq desc limit $4)
    union all
    (select null, seq from queue.jobs
     where $1 = 'failure' and failure_id is not null and cold_state in ('retryable', 'discarded')
       and (failure_id, seq) < ($16, $2) and failure_id >= $16
     order by failure_id desc, seq desc limit $4)
    union all
    (select null, seq from queue.jobs
     where $1 = 'tenant_cold' and cold_state is not null and (tenant_id, seq) < ($9, $2) and tenant_id >= $9
     order by tenant_id desc, seq desc limit $4)
    union all
    (select null, seq from queue.jobs
     where $1 = 'failing_subject' and cold_state in ('retryable', 'cancelled', 'discarded')
       and (tenant_id, subject, seq) < ($9, $21, $2)
       and (tenant_id, subject) >= ($9, $21)
     order by tenant_id desc, subject desc, seq desc limit $4)
    union all
    (select w.state, s.seq
     from unnest($6::text[]::queue.job_state[]) as w (state)
     cross join lateral (
        select seq from queue.jobs
        where cold_state is not null and (cold_state, seq) < (w.state, $2) and cold_state >= w.state
        order by cold_state desc, seq desc limit $4) s
     where $1 = 'cold')
), floor as materialized (
    -- Every state's walk ends where the first one does.
    select max(seq) as seq from (select min(seq) as seq from entry group by state having count(*) = $4) ends where seq > $3
), part as materialized (
    select state, count(*) as entries from entry where seq >= coalesce((select seq from floor), $3) group by state
), hit as materialized (
    select s.seq
    from unnest(case when $1 = 'cold' then $6::text[]::queue.job_state[] else array[null::queue.job_state] end) as w (state)
    cross join lateral (
        select s.seq from (
            (select * from queue.jobs
             where $1 = 'all' and seq < $2 and seq >= coalesce((select seq from floor), $3)
             order by seq desc offset 0)
            union all
            (select * from queue.jobs
             where $1 = 'tenant' and (tenant_id, seq) < ($9, $2) and tenant_id >= $9
             order by tenant_id desc, seq desc limit (select coalesce(sum(entries), 0) from part))
            union all
            (select * from queue.jobs
             where $1 = 'workflow' and workflow_id is not null and (workflow_id, seq) < ($10, $2) and workflow_id >= $10
             order by workflow_id desc, seq desc limit (select coalesce(sum(entries), 0) from part))
            union all
            (select * from queue.jobs
             where $1 = 'backfill' and backfill_id is not null and (backfill_id, seq) < ($11, $2) and backfill_id >= $11
             order by backfill_id desc, seq desc limit (select coalesce(sum(entries), 0) from part))
            union all
            (select * from queue.jobs
             where $1 = 'failure' and failure_id is not null and cold_state in ('retryable', 'discarded')
               and (failure_id, seq) < ($16, $2) and failure_id >= $16
             order by failure_id desc, seq desc limit (select coalesce(sum(entries), 0) from part))
            union all
            (select * from queue.jobs
             where $1 = 'tenant_cold' and cold_state is not null and (tenant_id, seq) < ($9, $2) and tenant_id >= $9
             order by tenant_id desc, seq desc limit (select coalesce(sum(entries), 0) from part))
            union all
            (select * from queue.jobs
             where $1 = 'failing_subject' and cold_state in ('retryable', 'cancelled', 'discarded')
               and (tenant_id, subject, seq) < ($9, $21, $2)
               and (tenant_id, subject) >= ($9, $21)
             order by tenant_id desc, subject desc, seq desc
             limit (select coalesce(sum(entries), 0) from part))
            union all
            (select * from queue.jobs
             where $1 = 'cold' and cold_state is not null and (cold_state, seq) < (w.state, $2) and cold_state >= w.state
             order by cold_state desc, seq desc limit (select coalesce(sum(entries), 0) from part where part.state = w.state))
            union all
            -- What workers hold is little, and so is what is named one by one.
            (select j.* from unnest($15::uuid[]) as named (id)
             cross join lateral (select * from queue.jobs where id = named.id offset 0) j
             where $1 = 'ids' and j.seq < $2 and j.seq >= $3
             order by j.seq desc)
            union all
            (select j.*
             from (
                select distinct seq from queue.claims cross join unnest(jobs) as seq
                where $1 = 'claims' and seq < $2 and seq >= $3 order by seq desc
             ) held
             cross join lateral (select * from queue.jobs where seq = held.seq offset 0) j)
        ) s
        where ($6::text[] is null or s.state = any($6::text[]::queue.job_state[]))
          and ($7::text is null or s.kind = $7)
          and ($8::text is null or s.queue = $8)
          and ($9::uuid is null or s.tenant_id = $9)
          and ($10::uuid is null or s.workflow_id = $10)
          and ($11::uuid is null or s.backfill_id = $11)
          and ($12::timestamptz is null or s.created_at >= $12)
          and ($13::timestamptz is null or s.created_at < $13)
          and ($14::text is null or s.args::text ilike $14 or s.tenant_id = any($19::uuid[])
              or (case when $20::boolean then jsonb_path_query_array(s.errors, '$[*].code') else s.errors end)::text ilike $14)
          and ($15::uuid[] is null or s.id = any($15))
          and ($16::bigint is null or s.failure_id = $16 and s.cold_state in ('retryable', 'discarded'))
          and ($21::text is null or s.subject = $21)
          and ($17::text[] is null or not exists (
              select from unnest($17::text[], $18::text[]) as a (name, value)
              where s.args #>> string_to_array(a.name, '.') is distinct from a.value))
        limit $5
    ) s
)
select array(select seq from hit order by seq desc limit $5) as "seqs!", (select seq from floor) as floor
