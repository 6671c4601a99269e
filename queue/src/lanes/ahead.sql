-- The first jobs of each lane and priority that may start, from its cursor on and below a seq; no more of them than count.
with lane as materialized (
    select * from unnest($2::uuid[], $3::uuid[], $4::smallint[], $5::bigint[], $6::bigint[])
        with ordinality as l (tenant_id, backfill_id, priority, from_seq, below, place)
)
select l.place as "place!", array(
    select j.seq from queue.jobs j
    where j.queue = $1 and j.tenant_id = l.tenant_id and j.priority = l.priority
      and j.seq >= l.from_seq and j.seq < l.below and j.state = 'available' and j.backfill_id is null
    order by j.seq limit $7
) as "seqs!"
from lane l
where l.backfill_id is null
union all
select l.place, array(
    select j.seq from queue.jobs j
    where j.queue = $1 and j.tenant_id = l.tenant_id and j.backfill_id = l.backfill_id and j.priority = l.priority
      and j.seq >= l.from_seq and j.seq < l.below and j.state = 'available' and j.backfill_id is not null
    order by j.seq limit $7
)
from lane l
where l.backfill_id is not null
