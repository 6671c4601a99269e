//! Compares the view of a queue with its jobs, and corrects the view where they differ.

use std::collections::HashMap;

use sqlx::{Acquire, PgConnection};
use uuid::Uuid;

use crate::database::column::column;
use crate::error::Result;
use crate::job::state::JobState;
use crate::lanes::sublane::SubLaneId;
use crate::lanes::view::QueueView;

/// The tenant, backfill and priority of jobs that are compared together.
pub type Group = (Uuid, Option<Uuid>, i16);

/// A difference between the view of a queue and its jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Discrepancy {
    /// The view counts another number of jobs.
    Count {
        /// Which jobs.
        group: Group,
        /// Their state.
        state: JobState,
        /// Their number by the log.
        logged: i64,
        /// Their number in the table of jobs.
        actual: i64,
    },
    /// Jobs may start that no claim would find.
    Cursor {
        /// Which jobs.
        group: Group,
        /// The `seq` from which claims read on.
        cursor: i64,
        /// The lowest `seq` of the jobs before that.
        first: i64,
    },
}

/// Compares the view of `queue` with its jobs: how many there are in each lane, priority and state,
/// and whether claims read from the first job on that may start. A row of the log corrects what
/// differs. Walks over all jobs of the queue.
pub async fn run_once(conn: &mut PgConnection, queue: &str) -> Result<Vec<Discrepancy>> {
    // The lock is taken before the snapshot, so that the corrections of another run are visible in
    // it.
    sqlx::query!(
        r#"select pg_advisory_lock(hashtextextended('weirgate lanes ' || $1, 0)) as "locked: ()""#,
        queue
    )
    .fetch_one(&mut *conn)
    .await?;
    let found = compare(conn, queue).await;
    sqlx::query!("select pg_advisory_unlock(hashtextextended('weirgate lanes ' || $1, 0))", queue)
        .fetch_one(conn)
        .await?;
    found
}

async fn compare(conn: &mut PgConnection, queue: &str) -> Result<Vec<Discrepancy>> {
    let mut tx = conn.begin().await?;
    // One snapshot shows both the log and the jobs.
    sqlx::query!("set transaction isolation level repeatable read").execute(&mut *tx).await?;
    let view = QueueView::open(&mut tx, queue).await?;
    let rows = sqlx::query!(
        // What is claimed runs, whatever its row says.
        r#"select tenant_id, backfill_id, priority, state as "state!: JobState", count(*) as "count!", min(seq) as "first!"
           from (
               select tenant_id, backfill_id, priority, seq,
                   case
                       when state = 'available' and (seq, run + 1) in (select seq, run from queue.in_flight where queue = $1) then 'running'
                       else state::text
                   end as state
               from queue.jobs where queue = $1
           ) as jobs
           group by 1, 2, 3, 4"#,
        queue
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut actual: HashMap<(Group, JobState), i64> = HashMap::new();
    let mut found = Vec::new();
    // The first job of each group that may start: every claim may read from there on.
    let mut first = Vec::new();
    for row in rows {
        let group = (row.tenant_id, row.backfill_id, row.priority);
        let state = row.state;
        actual.insert((group, state), row.count);
        if state == JobState::Available {
            first.push((group, row.first));
            found.extend(before_cursor(&mut tx, queue, &view, group, row.first).await?);
        }
    }
    for ((id, priority, state), logged) in view.counts() {
        let group = (id.tenant, id.backfill, priority);
        let actual = actual.remove(&(group, state)).unwrap_or_default();
        if actual != logged {
            found.push(Discrepancy::Count { group, state, logged, actual });
        }
    }
    let unknown = actual.into_iter();
    found.extend(unknown.map(|((group, state), actual)| Discrepancy::Count {
        group,
        state,
        logged: 0,
        actual,
    }));
    if !found.is_empty() {
        tracing::error!(queue, ?found, "the counts of the queue differed from its jobs; they are corrected");
    }
    correct(&mut tx, queue, &found, &first).await?;
    tx.commit().await?;
    Ok(found)
}

/// The discrepancy, if a job may start whose `seq` is before the cursor and that claims do not know
/// to be requeued.
async fn before_cursor(
    conn: &mut PgConnection,
    queue: &str,
    view: &QueueView,
    group: Group,
    first: i64,
) -> Result<Option<Discrepancy>> {
    let (tenant, backfill, priority) = group;
    let level = view.level(SubLaneId { tenant, backfill }, priority);
    let cursor = level.map_or(i64::MAX, |level| level.cursor);
    if first >= cursor {
        return Ok(None);
    }
    let requeued: Vec<i64> = level.iter().flat_map(|level| &level.requeued).copied().collect();
    let first = sqlx::query_scalar!(
        "select min(seq) from queue.jobs
         where queue = $1 and tenant_id = $2 and backfill_id is not distinct from $3 and priority = $4
           and state = 'available' and seq < $5 and seq <> all($6)
           and (seq, run + 1) not in (select seq, run from queue.in_flight where queue = $1)",
        queue,
        tenant,
        backfill,
        priority,
        cursor,
        &requeued
    )
    .fetch_one(conn)
    .await?;
    Ok(first.map(|first| Discrepancy::Cursor { group, cursor, first }))
}

/// Logs what the counts lack, and where each group begins. Other workers may read from later on
/// than the view that was compared; this takes their cursors back.
async fn correct(
    conn: &mut PgConnection,
    queue: &str,
    found: &[Discrepancy],
    first: &[(Group, i64)],
) -> Result<()> {
    let counts = found.iter().filter_map(|discrepancy| match discrepancy {
        Discrepancy::Count { group, state, logged, actual } => {
            Some((*group, *state, i32::try_from(actual - logged).unwrap_or_default(), None))
        }
        Discrepancy::Cursor { .. } => None,
    });
    let begins = first.iter().map(|(group, seq)| (*group, JobState::Available, 0, Some(*seq)));
    let rows: Vec<(Group, JobState, i32, Option<i64>)> = counts.chain(begins).collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into queue.lane_log (queue, tenants, backfills, priorities, states, changes, lowest)
         values ($1, $2, $3, $4, $5::text[]::queue.job_state[], $6, $7)",
        queue,
        &column(&rows, |row| row.0.0),
        &column(&rows, |row| row.0.1) as &[Option<Uuid>],
        &column(&rows, |row| row.0.2),
        &column(&rows, |row| row.1.to_string()),
        &column(&rows, |row| row.2),
        &column(&rows, |row| row.3) as &[Option<i64>],
    )
    .execute(conn)
    .await?;
    Ok(())
}
