//! The log of a queue's lanes: rows that nobody updates, and that every worker reads once each.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::job::state::JobState;
use crate::lanes::priority_level::ClaimedUpTo;
use crate::lanes::sublane::SubLaneId;

/// What a Postgres snapshot sees: all transactions below `xmax` but those that were in progress
/// when it was taken. A view's checkpoint holds it under the names given here.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) xmax: i64,
    #[serde(rename = "under_way")]
    pub(crate) in_progress: Vec<i64>,
}

impl Snapshot {
    /// The oldest transaction that it does not see.
    pub(crate) fn oldest_invisible(&self) -> i64 {
        self.in_progress.iter().copied().min().unwrap_or(self.xmax)
    }

    /// Whether it sees what this transaction did.
    pub(crate) fn sees(&self, txid: i64) -> bool {
        txid < self.xmax && !self.in_progress.contains(&txid)
    }
}

/// The rows of the log that an earlier snapshot did not see.
pub(crate) struct LogTail {
    /// The snapshot in which they were read.
    pub(crate) snapshot: Snapshot,
    /// The history of the database that they were read in.
    pub(crate) history: Uuid,
    /// When the server's process was started.
    pub(crate) server_started: DateTime<Utc>,
    /// The database's time at which they were read.
    pub(crate) now: DateTime<Utc>,
    pub(crate) claims: Vec<ClaimEntry>,
    pub(crate) changes: Vec<CountChange>,
    /// The snapshots on which the claims among them were planned, by claim sequence number. Each
    /// sees all that the one before it sees.
    claim_snapshots: Vec<(i64, Snapshot)>,
}

/// What took a claim sequence number: a claim, or a change of settings.
pub(crate) struct ClaimEntry {
    pub(crate) claim_seq: i64,
    /// The worker that claimed; none when settings changed.
    pub(crate) worker: Option<Uuid>,
    /// The virtual times that the claim left, of live work and of backfills.
    pub(crate) virtual_times: [f64; 2],
    /// The theoretical arrival time (TAT) of the queue's own rate that the claim left.
    pub(crate) queue_tat: Option<DateTime<Utc>>,
    pub(crate) sublanes: Vec<SubLaneEntry>,
}

/// What a claim left a sub-lane with.
pub(crate) struct SubLaneEntry {
    pub(crate) id: SubLaneId,
    /// The finish tag of the last start.
    pub(crate) finish_tag: f64,
    /// The theoretical arrival time (TAT) of its lane's rate; none without a rate.
    pub(crate) tat: Option<DateTime<Utc>>,
}

/// By how much the number of jobs changed that a sub-lane has in a state and with a priority.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CountChange {
    pub(crate) sublane: SubLaneId,
    pub(crate) priority: i16,
    pub(crate) state: JobState,
    pub(crate) change: i64,
    /// The transaction that changed it.
    pub(crate) txid: i64,
    /// The lowest `seq` of the jobs that became available.
    pub(crate) lowest: Option<i64>,
    /// Whether this is one job that became available again; `lowest` is its `seq` then.
    pub(crate) requeued: bool,
    /// How far a claim has come, if a claim wrote this.
    pub(crate) claimed: Option<ClaimedUpTo>,
}

impl CountChange {
    /// A sum of jobs that no single transaction stands for: from a checkpoint, or counted in the
    /// table.
    pub(crate) fn sum(sublane: SubLaneId, priority: i16, state: JobState, change: i64) -> Self {
        Self { sublane, priority, state, change, txid: 0, lowest: None, requeued: false, claimed: None }
    }
}

impl LogTail {
    /// The changes in the order in which claims met them: a claim comes after all that it was
    /// planned on. With each change goes the last claim sequence number whose next claim may not
    /// have known of it; that is `last` if no claim among these saw it.
    pub(crate) fn in_claim_order(&self, last: i64) -> Vec<(&CountChange, i64)> {
        let first_claim_that_sees = |txid| {
            let index = self.claim_snapshots.partition_point(|(_, snapshot)| !snapshot.sees(txid));
            self.claim_snapshots.get(index).map(|(claim_seq, _)| *claim_seq)
        };
        let place = |change: &CountChange| match change.claimed {
            Some(claimed) => (claimed.claim_seq, true),
            None => (first_claim_that_sees(change.txid).unwrap_or(i64::MAX), false),
        };
        let mut ordered: Vec<((i64, bool), &CountChange)> =
            self.changes.iter().map(|change| (place(change), change)).collect();
        ordered.sort_by_key(|(place, _)| *place);
        // The claim before the first that sees a change was planned without it, and so the one
        // before that is the last whose next claim did not know of it.
        let last_unaware = |claim_seq: i64| if claim_seq == i64::MAX { last } else { claim_seq - 2 };
        ordered.into_iter().map(|((claim_seq, _), change)| (change, last_unaware(claim_seq))).collect()
    }
}

/// Reads the rows of the log that `snapshot` does not see.
pub(crate) async fn read_after(conn: &mut PgConnection, queue: &str, snapshot: &Snapshot) -> Result<LogTail> {
    let rows = sqlx::query_as!(
        LogRow,
        r#"
        with snapshot as materialized (
            select pg_snapshot_xmax(snapshot)::text::bigint as xmax, array(select x::text::bigint from pg_snapshot_xip(snapshot) as x) as in_progress,
                queue.now() as now, queue.history_id() as history,
                pg_postmaster_start_time() as server_started
            from (select pg_current_snapshot() as snapshot) as s
        )
        select
            xmax as "xmax!", in_progress as "in_progress!", now as "now!", history as "history!", server_started as "server_started!",
            l.txid as "txid?", l.claim_seq as "claim_seq?", l.of_claim_seq as "of_claim_seq?", l.requeued as "requeued?", l.worker_id as "worker_id?",
            l.virtual_times as "virtual_times?", l.queue_tat as "queue_tat?",
            l.snapshot_xmax as "snapshot_xmax?", l.snapshot_xip as "snapshot_xip?",
            l.tenants as "tenants?", l.backfills as "backfills?: Vec<Option<Uuid>>", l.priorities as "priorities?",
            l.states::text[] as "states?: Vec<JobState>", l.changes as "changes?", l.lowest as "lowest?: Vec<Option<i64>>",
            l.tags as "tags?", l.tats as "tats?: Vec<Option<DateTime<Utc>>>"
        from snapshot
        left join lateral (
            -- Two searches of the index, whatever the statistics say: one condition with `or` or
            -- `any` becomes a walk over the queue's whole log. The parameters are hidden from the
            -- planner, which otherwise plans anew for each of them.
            select * from queue.lane_log where queue = (select $1::text) and txid >= (select $2::bigint)
            union all
            select late.* from unnest((select $3::bigint[])) as x
            cross join lateral (select * from queue.lane_log where queue = (select $1::text) and txid = x offset 0) as late
        ) l on true
        order by l.claim_seq
        "#,
        queue,
        snapshot.xmax,
        &snapshot.in_progress
    )
    .fetch_all(conn)
    .await?;
    let first = rows.first().expect("the snapshot itself is a row");
    let mut tail = LogTail {
        snapshot: Snapshot { xmax: first.xmax, in_progress: first.in_progress.clone() },
        history: first.history,
        server_started: first.server_started,
        now: first.now,
        claims: Vec::new(),
        changes: Vec::new(),
        claim_snapshots: Vec::new(),
    };
    for row in rows {
        tail.add(row);
    }
    tail.claim_snapshots.sort_unstable_by_key(|(claim_seq, _)| *claim_seq);
    Ok(tail)
}

/// A row of the log as it is read, with the snapshot that it was read in; all else is null if the
/// log has no new row.
struct LogRow {
    xmax: i64,
    in_progress: Vec<i64>,
    now: DateTime<Utc>,
    history: Uuid,
    server_started: DateTime<Utc>,
    txid: Option<i64>,
    claim_seq: Option<i64>,
    of_claim_seq: Option<i64>,
    requeued: Option<bool>,
    worker_id: Option<Uuid>,
    virtual_times: Option<Vec<f64>>,
    queue_tat: Option<DateTime<Utc>>,
    snapshot_xmax: Option<i64>,
    snapshot_xip: Option<Vec<i64>>,
    tenants: Option<Vec<Uuid>>,
    backfills: Option<Vec<Option<Uuid>>>,
    priorities: Option<Vec<i16>>,
    states: Option<Vec<JobState>>,
    changes: Option<Vec<i32>>,
    lowest: Option<Vec<Option<i64>>>,
    tags: Option<Vec<f64>>,
    tats: Option<Vec<Option<DateTime<Utc>>>>,
}

impl LogTail {
    fn add(&mut self, row: LogRow) {
        let Some(tenants) = row.tenants else { return };
        let backfills = row.backfills.unwrap_or_default();
        let ids = tenants.into_iter().zip(backfills).map(|(tenant, backfill)| SubLaneId { tenant, backfill });
        if let Some(claim_seq) = row.claim_seq {
            let states = row.tags.unwrap_or_default().into_iter().zip(row.tats.unwrap_or_default());
            self.claims.push(ClaimEntry {
                claim_seq,
                worker: row.worker_id,
                virtual_times: row.virtual_times.and_then(|times| times.try_into().ok()).unwrap_or_default(),
                queue_tat: row.queue_tat,
                sublanes: ids
                    .zip(states)
                    .map(|(id, (finish_tag, tat))| SubLaneEntry { id, finish_tag, tat })
                    .collect(),
            });
            return;
        }
        let (priorities, states) = (row.priorities.unwrap_or_default(), row.states.unwrap_or_default());
        let (changes, lowest) = (row.changes.unwrap_or_default(), row.lowest.unwrap_or_default());
        let planned_on = row.snapshot_xmax.zip(row.snapshot_xip);
        let planned_on = planned_on.map(|(xmax, in_progress)| Snapshot { xmax, in_progress });
        self.claim_snapshots.extend(row.of_claim_seq.zip(planned_on));
        self.changes.extend(ids.enumerate().map(|(i, sublane)| {
            // A claim writes there how far it has come.
            let claimed = row.of_claim_seq.zip(lowest[i]);
            CountChange {
                sublane,
                priority: priorities[i],
                state: states[i],
                change: i64::from(changes[i]),
                txid: row.txid.unwrap_or_default(),
                lowest: if row.of_claim_seq.is_some() { None } else { lowest[i] },
                requeued: row.requeued.unwrap_or_default(),
                claimed: claimed.map(|(claim_seq, next_seq)| ClaimedUpTo { claim_seq, next_seq }),
            }
        }));
    }
}

/// Takes the next claim sequence number without a claim, and returns it. A claim that was planned
/// on what came before finds its number taken.
pub(crate) async fn take_claim_seq(conn: &mut PgConnection, queue: &str) -> Result<i64> {
    // Claims of the queue wait for this transaction: a process that is stopped within it must not
    // hold them up.
    sqlx::query!("select set_config('idle_in_transaction_session_timeout', '5s', true)")
        .fetch_one(&mut *conn)
        .await?;
    loop {
        let taken = sqlx::query_scalar!(
            r#"insert into queue.lane_log (queue, claim_seq)
             select $1, greatest(
                 (select coalesce(max(claim_seq), 0) from queue.lane_log where queue = $1 and claim_seq is not null),
                 (select coalesce(max(claim_seq), 0) from queue.view_checkpoints where queue = $1)) + 1
             on conflict (queue, claim_seq) where claim_seq is not null do nothing returning claim_seq as "claim_seq!""#,
            queue
        )
        .fetch_optional(&mut *conn)
        .await?;
        if let Some(claim_seq) = taken {
            return Ok(claim_seq);
        }
    }
}

/// Deletes the rows that every checkpoint of the last ten minutes holds, and the checkpoints
/// before; returns how many rows of the log.
///
/// A view that was not refreshed for five minutes begins anew from a checkpoint, and finds all rows
/// after it.
pub(crate) async fn prune(conn: &mut PgConnection, queue: &str) -> Result<u64> {
    let deleted = sqlx::query!(
        "with base as (
            select at, oldest_txid, claim_seq from queue.view_checkpoints
            where queue = $1 and at < queue.now() - interval '10 minutes' order by at desc limit 1
        ), checkpoints as (
            delete from queue.view_checkpoints b using base where b.queue = $1 and b.at < base.at
        )
        delete from queue.lane_log l using base
        where l.queue = $1 and l.txid < base.oldest_txid and (l.claim_seq is null or l.claim_seq < base.claim_seq)",
        queue
    )
    .execute(conn)
    .await?
    .rows_affected();
    Ok(deleted)
}
