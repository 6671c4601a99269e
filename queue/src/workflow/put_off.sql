insert into queue.unresolved (job_id, after_child)
select r.job, r.after
from unnest($1::uuid[], $2::uuid[]) as r (job, after)
where (
    select d.child_id from queue.job_dependencies d
    where d.parent_id = r.job and d.child_id > r.after
    order by d.parent_id, d.child_id
    limit 1
) is not null
