-- Writes on edges, whose children the transaction has locked, what their parents are now.
--
-- - $1: parents
-- - $2: for each, the child at the other end of the edge
--
-- Returns the edges that changed, with their outcomes before and after.
with edge as (
    -- The outcome that each edge has by the state of its parent.
    select
        d.parent_id, d.child_id, d.outcome as was,
        case
            when p.state not in ('completed', 'cancelled', 'discarded') then 'pending'
            when p.state = 'completed' or d.on_failure = 'continue' then 'passed'
            else 'failed'
        end as now
    from unnest($1::uuid[], $2::uuid[]) as e (parent_id, child_id)
    join queue.job_dependencies d on d.child_id = e.child_id and d.parent_id = e.parent_id
    join queue.jobs p on p.id = d.parent_id
)
update queue.job_dependencies d
set outcome = edge.now
from edge
where d.child_id = edge.child_id and d.parent_id = edge.parent_id and edge.was <> edge.now
returning d.child_id, d.parent_id, edge.was as "was!", edge.now as "now!"
