-- In one order, so that two that move the same jobs do not wait for each other in a circle.
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
