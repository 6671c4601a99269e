-- The newest $5 workflows before $4 of the tenant $1, about $2 and named $3 (all where null). Of each, the first $6 jobs and one are
-- counted. Walked along the index that fits; only one branch is executed.
with walked as materialized (
    select id, tenant_id, name, subject, created_at
    from (
        (select * from queue.workflows
         where $1::uuid is null and $2::text is null and id < $4 and ($3::text is null or name = $3)
         order by id desc limit $5)
        union all
        (select * from queue.workflows
         where $1 is not null and $2 is null and tenant_id = $1 and id < $4 and ($3 is null or name = $3)
         order by id desc limit $5)
        union all
        (select * from queue.workflows
         where $1 is null and subject = $2 and id < $4 and ($3 is null or name = $3)
         order by id desc limit $5)
        union all
        (select * from queue.workflows
         where tenant_id = $1 and subject = $2 and id < $4 and ($3 is null or name = $3)
         order by id desc limit $5)
    ) paths
)
select w.id as "id!", w.tenant_id as "tenant_id!", w.name, w.subject, w.created_at as "created_at!",
    c.kinds, c.counts as "counts: Json<HashMap<JobState, i64>>", c.begun,
    (select count(*) from walked) < $5 as "is_last!",
    clock_timestamp() + (queue.now() - now()) as "observed_at!"
from walked w
cross join lateral (
    select string_agg(kinds, ' ') as kinds, jsonb_object_agg(state, jobs) as counts, bool_or(begun) as begun
    from (
        select state, count(*) as jobs, string_agg(distinct kind, ' ') as kinds,
            bool_or(run > 0 or state = 'completed') as begun
        from (
            select * from queue.jobs
            where workflow_id is not null and (workflow_id, seq) >= (w.id, 0::bigint)
              and (workflow_id, seq) <= (w.id, 9223372036854775807)
            order by workflow_id, seq limit $6::bigint + 1
        ) j
        group by state
    ) by_state
) c
order by w.id desc
