-- Records for the resolver that children of these jobs are still to be updated. Jobs without
-- further children are left out.
--
-- - $1: jobs
-- - $2: for each, the child after whose id its edges are to be updated
insert into queue.unresolved (job_id, after_child)
select r.job, r.after
from unnest($1::uuid[], $2::uuid[]) as r (job, after)
where (
    select d.child_id from queue.job_dependencies d
    where d.parent_id = r.job and d.child_id > r.after
    order by d.parent_id, d.child_id
    limit 1
) is not null
