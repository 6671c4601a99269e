-- The newest $2 workflows before $1, by their ids, which begin with their time: one look into the index for each. Of each, the first
-- $3 + 1 jobs are counted. Compared as rows, so that only the index on both columns has the order.
with recursive newest (id) as (
    (select workflow_id from queue.jobs
     where workflow_id is not null and (workflow_id, seq) < ($1::uuid, 0::bigint)
     order by workflow_id desc, seq desc limit 1)
    union all
    select (
        select j.workflow_id from queue.jobs j
        where j.workflow_id is not null and (j.workflow_id, j.seq) < (n.id, 0::bigint)
        order by j.workflow_id desc, j.seq desc limit 1)
    from newest n where n.id is not null
)
select n.id as "id!", c.tenant_id as "tenant_id!", c.kinds as "kinds!", c.created_at as "created_at!", c.jobs as "jobs!",
    c.completed as "completed!", c.failed as "failed!", c.running as "running!", clock_timestamp() + (queue.now() - now()) as "observed_at!"
from (select id from newest where id is not null limit $2) n
cross join lateral (
    select (array_agg(tenant_id order by seq))[1] as tenant_id, array_agg(distinct kind) as kinds, min(created_at) as created_at,
        count(*) as jobs, count(*) filter (where state = 'completed') as completed,
        count(*) filter (where state in ('cancelled', 'discarded')) as failed, count(*) filter (where state = 'running') as running
    from (
        select * from queue.jobs
        where workflow_id is not null and (workflow_id, seq) >= (n.id, 0::bigint) and (workflow_id, seq) <= (n.id, 9223372036854775807)
        order by workflow_id, seq limit $3::bigint + 1
    ) j
) c
order by n.id desc
