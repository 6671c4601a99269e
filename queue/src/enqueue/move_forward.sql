-- Lets jobs that have never started start sooner, and returns their queues.
--
-- One entry of each array for a job:
-- - $1 uuid[]: id
-- - $2 timestamptz[]: when the job may start; null for when its delay is over
-- - $3 float8[]: the delay in seconds
--
-- The rows are locked in one order, so that two transactions that move the same jobs do not
-- deadlock.
with wanted as (
    select w.id, min(coalesce(w.run_at, queue.now() + make_interval(secs => w.delay_s))) as at
    from unnest($1::uuid[], $2::timestamptz[], $3::float8[]) as w (id, run_at, delay_s)
    group by w.id
), locked as materialized (
    select j.id from queue.jobs j join wanted w using (id)
    where j.state in ('scheduled', 'waiting') and j.run = 0 and w.at < j.scheduled_at
    order by j.id
    for no key update of j
)
update queue.jobs j
set scheduled_at = w.at,
    state = case when j.state = 'scheduled' and w.at <= queue.now() then 'available' else j.state end
from locked join wanted w using (id)
where j.id = locked.id
returning j.queue
