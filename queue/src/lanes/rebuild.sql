-- All of it sees one snapshot: the jobs that are counted are those whose log rows are deleted; what commits later has log rows that no
-- view has read yet. The row of the claim sequence that the caller has taken stays: claims decided before find it.
with snapshot as materialized (
    select pg_snapshot_xmax(s.now)::text::bigint as xmax, array(select x::text::bigint from pg_snapshot_xip(s.now) as x) as under_way
    from (select pg_current_snapshot() as now) as s
), taken as materialized (
    select seq, run from queue.in_flight where queue = $1
), counted as materialized (
    select tenant_id, backfill_id, priority, state, count(*) as count, min(seq) as lowest
    from (
        select tenant_id, backfill_id, priority, seq,
            -- What is claimed runs, whatever its row says.
            case when state = 'available' and (seq, run + 1) in (select seq, run from taken) then 'running' else state::text end as state
        from queue.jobs where queue = $1
    ) as jobs
    group by 1, 2, 3, 4
), log as (
    delete from queue.lane_log where queue = $1 and claim_seq is distinct from $2
), books as (
    delete from queue.view_checkpoints where queue = $1
)
select s.xmax as "xmax!", s.under_way as "under_way!", queue.now() as "now!",
    (select coalesce(max(seq) + 1, 0) from taken) as "claimed!",
    c.tenant_id as "tenant_id?", c.backfill_id as "backfill_id?", c.priority as "priority?", c.state as "state?", c.count as "count?",
    c.lowest as "lowest?"
from snapshot s left join counted c on true
