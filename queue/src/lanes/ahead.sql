-- The first jobs of each flow and priority that may start, from its cursor on; no more of them than count.
with flow as materialized (
    select f.*, queue.sublane_key($1, f.tenant_id, f.backfill_id) as key
    from unnest($2::uuid[], $3::uuid[], $4::smallint[], $5::bigint[])
        with ordinality as f (tenant_id, backfill_id, priority, from_seq, place)
)
select f.place as "place!", array(
    select j.seq from queue.jobs j
    where queue.sublane_key(j.queue, j.tenant_id, j.backfill_id) = f.key
      and (j.priority, j.seq) >= (f.priority, f.from_seq) and j.priority <= f.priority and j.state = 'available'
      and (j.queue, j.tenant_id, j.backfill_id) is not distinct from ($1, f.tenant_id, f.backfill_id)
    order by j.priority, j.seq limit $6
) as "seqs!"
from flow f
