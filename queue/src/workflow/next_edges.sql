-- The next edges of jobs that are to be updated.
--
-- - $1: jobs
-- - $2: for each, the child after whose id its edges begin
-- - $3: most edges for each job
select r.job as "job!", d.child_id, d.outcome = 'failed' as "failed!"
from unnest($1::uuid[], $2::uuid[]) as r (job, after)
cross join lateral (
    select child_id, outcome from queue.job_dependencies
    where parent_id = r.job and child_id > r.after
    order by parent_id, child_id
    limit $3
) d
order by 1, 2
