-- Where a walk down the path $1 from below $2 ends that meets $4 + 1 jobs; null where it ends at $3 before
-- that. Only the branch that $1 names is executed.
select max(seq) from (
    (select seq from queue.jobs
     where $1 = 'All' and seq < $2 and seq >= $3
     order by seq desc offset $4 limit 1)
    union all
    -- Compared as rows, so that only the index on both columns has the order.
    (select seq from queue.jobs
     where $1 = 'Tenant' and (tenant_id, seq) < ($5::uuid, $2) and (tenant_id, seq) >= ($5, $3)
     order by tenant_id desc, seq desc offset $4 limit 1)
    union all
    (select seq from queue.jobs
     where $1 = 'Workflow' and workflow_id is not null
       and (workflow_id, seq) < ($6::uuid, $2) and (workflow_id, seq) >= ($6, $3)
     order by workflow_id desc, seq desc offset $4 limit 1)
    union all
    (select seq from queue.jobs
     where $1 = 'Backfill' and backfill_id is not null
       and (backfill_id, seq) < ($7::uuid, $2) and (backfill_id, seq) >= ($7, $3)
     order by backfill_id desc, seq desc offset $4 limit 1)
    union all
    (select seq from queue.jobs
     where $1 = 'TenantAside' and aside is not null
       and (tenant_id, seq) < ($5, $2) and (tenant_id, seq) >= ($5, $3)
     order by tenant_id desc, seq desc offset $4 limit 1)
    union all
    (select seq from queue.jobs
     where $1 = 'Failure' and failure_id is not null and aside in ('retryable', 'discarded')
       and (failure_id, seq) < ($9::bigint, $2) and (failure_id, seq) >= ($9, $3)
     order by failure_id desc, seq desc offset $4 limit 1)
    union all
    -- Every state's walk ends where the first one does.
    (select s.seq
     from unnest($8::text[]::queue.job_state[]) as w (state)
     cross join lateral (
        select seq from queue.jobs
        where aside is not null and (aside, seq) < (w.state, $2) and (aside, seq) >= (w.state, $3)
        order by aside desc, seq desc offset $4 limit 1) s
     where $1 = 'Aside')
) ends
