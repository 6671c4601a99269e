-- What nearly all jobs come to. The guard: only the current run of a running job may end it. The state it must be in is a column,
-- so that the planner makes no plan for the few that run by its statistics; the arrays are hidden from it, or it plans anew for each length.
with completed as materialized (
    select c.seq, c.run, c.output, 'running'::queue.job_state as expected
    from unnest((select $1::bigint[]), (select $2::bigint[]), (select $3::jsonb[])) as c (seq, run, output)
)
update queue.jobs j
set state = 'completed', output = coalesce(c.output, j.output), finalized_at = queue.now()
from completed c
where j.seq = c.seq and j.run = c.run and j.state = c.expected
returning j.seq
