-- Counts the jobs of a queue anew, and deletes its log and its checkpoints.
--
-- - $1 text: the queue
-- - $2 bigint: the claim sequence number that the caller has taken. Its row of the log stays, so
--   that claims which were planned before find the number taken.
--
-- All of it sees one snapshot: the jobs that are counted are those whose log rows are deleted, and
-- what commits later has log rows that no view has read yet. Returns the snapshot, with a row for
-- each sub-lane, priority and state.
with snapshot as materialized (
    select pg_snapshot_xmax(s.now)::text::bigint as xmax, array(select x::text::bigint from pg_snapshot_xip(s.now) as x) as in_progress
    from (select pg_current_snapshot() as now) as s
), in_flight as materialized (
    select seq, run from queue.in_flight where queue = $1
), counted as materialized (
    select tenant_id, backfill_id, priority, state, count(*) as count, min(seq) as lowest
    from (
        select tenant_id, backfill_id, priority, seq,
            -- A claimed job runs, whatever its row says.
            case when state = 'available' and (seq, run + 1) in (select seq, run from in_flight) then 'running' else state::text end as state
        from queue.jobs where queue = $1
    ) as jobs
    group by 1, 2, 3, 4
), log as (
    delete from queue.lane_log where queue = $1 and claim_seq is distinct from $2
), checkpoints as (
    delete from queue.view_checkpoints where queue = $1
)
select s.xmax as "xmax!", s.in_progress as "in_progress!", queue.now() as "now!",
    (select coalesce(max(seq) + 1, 0) from in_flight) as "high_water!",
    c.tenant_id as "tenant_id?", c.backfill_id as "backfill_id?", c.priority as "priority?", c.state as "state?: JobState", c.count as "count?",
    c.lowest as "lowest?"
from snapshot s left join counted c on true
