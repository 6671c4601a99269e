-- The first job of each lane and priority, from its cursor on: one step into the index each.
with lane as materialized (
    select * from unnest($2::uuid[], $3::uuid[], $4::smallint[], $5::bigint[])
        with ordinality as l (tenant_id, backfill_id, priority, from_seq, place)
)
select l.place as "place!", first.seq as "seq!", first.scheduled_at as "scheduled_at!"
from lane l
cross join lateral (
    select j.seq, j.scheduled_at from queue.jobs j
    where j.queue = $1 and j.tenant_id = l.tenant_id and j.priority = l.priority and j.seq >= l.from_seq
      and j.state = 'available' and j.backfill_id is null
    order by j.seq limit 1
) first
where l.backfill_id is null
union all
select l.place, first.seq, first.scheduled_at
from lane l
cross join lateral (
    select j.seq, j.scheduled_at from queue.jobs j
    where j.queue = $1 and j.tenant_id = l.tenant_id and j.backfill_id = l.backfill_id and j.priority = l.priority
      and j.seq >= l.from_seq and j.state = 'available' and j.backfill_id is not null
    order by j.seq limit 1
) first
where l.backfill_id is not null
