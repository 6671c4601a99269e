-- Counts the edges of jobs that are still to be updated; jobs without any are left out.
--
-- - $1: jobs
-- - $2: for each, the child after whose id its edges count
-- - $3: most edges that matter; no more than one beyond them is counted for each job
--
-- The arrays are hidden from the planner in subqueries; otherwise it makes a new plan for each of
-- their lengths.
select r.job as "job!", r.after as "after!", e.edges as "edges!"
from unnest((select $1::uuid[]), (select $2::uuid[])) as r (job, after)
cross join lateral (
    select count(*) as edges
    from (
        select from queue.job_dependencies d
        where d.parent_id = r.job and d.child_id > r.after
        order by d.parent_id, d.child_id
        limit (select $3::bigint) + 1
    ) few
) e
where e.edges > 0
