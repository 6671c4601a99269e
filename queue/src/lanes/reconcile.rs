//! Proves that what the view of a queue says of its lanes is so of the jobs, and repairs it where it is not.

use std::collections::HashMap;

use sqlx::{Acquire, PgConnection};
use uuid::Uuid;

use crate::error::Result;
use crate::job::state::JobState;
use crate::lanes::book::Book;

/// Jobs of one tenant and backfill with one priority.
type Of = (Uuid, Option<Uuid>, i16);

/// Where the view of a queue is not what the jobs say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Discrepancy {
    /// Another number of jobs.
    Count {
        /// Tenant, backfill and priority of the jobs.
        of: (Uuid, Option<Uuid>, i16),
        /// Their state.
        state: JobState,
        /// By the log.
        counted: i64,
        /// By the jobs.
        there: i64,
    },
    /// Jobs that may start, and that no claim would look for.
    Cursor {
        /// Tenant, backfill and priority of the jobs.
        of: (Uuid, Option<Uuid>, i16),
        /// Where claims begin to read.
        from: i64,
        /// The `seq` of the first job before that.
        first: i64,
    },
}

/// Compares the view of `queue` with its jobs: how many there are of each lane, priority and state, and whether claims
/// begin to read no later than at the first that may start. What differs is repaired by a row of the log. Walks over
/// all jobs of the queue.
pub async fn run_once(conn: &mut PgConnection, queue: &str) -> Result<Vec<Discrepancy>> {
    // Before the snapshot is taken, so that it holds what another one repaired.
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
    // One snapshot for the log and the jobs.
    sqlx::query!("set transaction isolation level repeatable read").execute(&mut *tx).await?;
    let view = Book::open(&mut tx, queue).await?;
    let rows = sqlx::query!(
        // What is claimed runs, whatever its row says.
        r#"select tenant_id, backfill_id, priority, state as "state!", count(*) as "count!", min(seq) as "first!"
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
    let mut there: HashMap<(Of, JobState), i64> = HashMap::new();
    let mut found = Vec::new();
    // The first job of each lane that may start: where every claim may well begin to read.
    let mut first = Vec::new();
    for row in rows {
        let of = (row.tenant_id, row.backfill_id, row.priority);
        let state: JobState = row.state.parse().expect("the enum's names are the states'");
        there.insert((of, state), row.count);
        if state == JobState::Available {
            first.push((of, row.first));
            found.extend(behind(&mut tx, queue, &view, of, row.first).await?);
        }
    }
    for ((tenant, backfill, priority, state), counted) in view.counts() {
        let of = (tenant, backfill, priority);
        let is = there.remove(&(of, state)).unwrap_or_default();
        if is != counted {
            found.push(Discrepancy::Count { of, state, counted, there: is });
        }
    }
    let more = there.into_iter();
    found.extend(more.map(|((of, state), is)| Discrepancy::Count { of, state, counted: 0, there: is }));
    if !found.is_empty() {
        tracing::error!(queue, ?found, "the view of the queue was not what its jobs say; repaired");
    }
    repair(&mut tx, queue, &found, &first).await?;
    tx.commit().await?;
    Ok(found)
}

/// Whether a job may start before where claims begin to read, and is not one of those that they ask for by number.
async fn behind(
    conn: &mut PgConnection,
    queue: &str,
    view: &Book,
    of: Of,
    first: i64,
) -> Result<Option<Discrepancy>> {
    let (from, requeued) = view.begins(of);
    if first >= from {
        return Ok(None);
    }
    let (tenant, backfill, priority) = of;
    let first = sqlx::query_scalar!(
        "select min(seq) from queue.jobs
         where queue = $1 and tenant_id = $2 and backfill_id is not distinct from $3 and priority = $4
           and state = 'available' and seq < $5 and seq <> all($6)
           and (seq, run + 1) not in (select seq, run from queue.in_flight where queue = $1)",
        queue,
        tenant,
        backfill,
        priority,
        from,
        &requeued
    )
    .fetch_one(conn)
    .await?;
    Ok(first.map(|first| Discrepancy::Cursor { of, from, first }))
}

/// Logs what is missing in the counts, and where each lane begins: a worker may begin to read later than the view that was
/// compared, and goes back to there.
async fn repair(
    conn: &mut PgConnection,
    queue: &str,
    found: &[Discrepancy],
    first: &[(Of, i64)],
) -> Result<()> {
    let counts = found.iter().filter_map(|it| match it {
        Discrepancy::Count { of, state, counted, there } => {
            Some((*of, *state, i32::try_from(there - counted).unwrap_or_default(), None))
        }
        Discrepancy::Cursor { .. } => None,
    });
    let begins = first.iter().map(|(of, seq)| (*of, JobState::Available, 0, Some(*seq)));
    let rows: Vec<(Of, JobState, i32, Option<i64>)> = counts.chain(begins).collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into queue.lane_log (queue, tenants, backfills, priorities, states, changes, lowest)
         values ($1, $2, $3, $4, $5::text[]::queue.job_state[], $6, $7)",
        queue,
        &rows.iter().map(|row| row.0.0).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.0.1).collect::<Vec<_>>() as &[Option<Uuid>],
        &rows.iter().map(|row| row.0.2).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.1.to_string()).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.2).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.3).collect::<Vec<_>>() as &[Option<i64>],
    )
    .execute(conn)
    .await?;
    Ok(())
}
