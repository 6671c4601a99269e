-- The first jobs of each level that may start.
--
-- - $1 text: the queue
-- For each level (a sub-lane and a priority), one entry each:
-- - $2 uuid[]: tenant
-- - $3 uuid[]: backfill; null for live work
-- - $4 smallint[]: priority
-- - $5 bigint[]: the cursor, which is the seq from which the level is read
-- Bound:
-- - $6 bigint: how many jobs of each level to return, at most
with level as materialized (
    select l.*, queue.sublane_key($1, l.tenant_id, l.backfill_id) as key
    from unnest($2::uuid[], $3::uuid[], $4::smallint[], $5::bigint[])
        with ordinality as l (tenant_id, backfill_id, priority, cursor_seq, number)
)
select l.number as "number!", array(
    select j.seq from queue.jobs j
    where queue.sublane_key(j.queue, j.tenant_id, j.backfill_id) = l.key
      and (j.priority, j.seq) >= (l.priority, l.cursor_seq) and j.priority <= l.priority and j.state = 'available'
      and (j.queue, j.tenant_id, j.backfill_id) is not distinct from ($1, l.tenant_id, l.backfill_id)
    order by j.priority, j.seq limit $6
) as "seqs!"
from level l
