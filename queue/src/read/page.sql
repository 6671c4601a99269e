-- Walks down an index for a page of jobs, newest first, and finds those that match the filter.
--
-- - $1: the index to walk: all, tenant, workflow, backfill, failure, tenant_cold, failing_subject,
--   cold, ids or claims; only the branches that it names are executed
-- - $2, $3: the walk begins below the first seq and goes down to the second
-- - $4: most entries of the index that the walk reads (where $1 is cold: of each state)
-- - $5: most matching jobs that it returns
--
-- The filter, where null does not filter:
--
-- - $6: states
-- - $7, $8: kind; queue
-- - $9: tenant
-- - $10, $11: workflow; backfill
-- - $12, $13: enqueued at or after; enqueued before
-- - $14: a pattern that arguments or errors are like, unless the tenant is one of $19
-- - $15: ids
-- - $16: failure
-- - $17, $18: names of arguments, with a dot between levels; their values
-- - $19: tenants whose jobs match $14
-- - $20: whether $14 is compared with the codes of errors alone
-- - $21: subject
--
-- Returns the matching jobs, and the seq at which the walk ended if there may be more.
--
-- Beginnings are compared as rows: only the index on both columns has their order. Postgres reads
-- such an index on as long as its first column fits, whatever the condition on the second one. So
-- the first step finds out, in the index alone, how far the walk goes, and the second step reads
-- that many jobs.
with entry as materialized (
    -- The entries of the index.
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
    -- Where the walk ends. It is one walk for each state; all end where the first one does.
    select max(seq) as seq from (select min(seq) as seq from entry group by state having count(*) = $4) ends where seq > $3
), part as materialized (
    -- How many entries the walk has, of each state.
    select state, count(*) as entries from entry where seq >= coalesce((select seq from floor), $3) group by state
), hit as materialized (
    -- The jobs of these entries that match.
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
            -- Jobs that are named one by one are few, and so are those that workers have claimed.
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
