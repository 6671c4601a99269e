//! Proves that the counts of the lanes are those of the jobs, and repairs them where they are not.

use std::collections::HashMap;

use sqlx::{Acquire, PgConnection};
use uuid::Uuid;

use crate::error::Result;
use crate::lanes::book::Book;
use crate::state::JobState;

/// A count that is adrift: what the log says, and what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// Tenant, backfill, priority and state of the jobs.
    pub of: (Uuid, Option<Uuid>, i16, JobState),
    /// By the log.
    pub counted: i64,
    /// By the jobs.
    pub there: i64,
}

/// Counts the jobs of `queue` and compares; what differs is repaired by a row of the log. Walks over all its jobs.
pub async fn run_once(conn: &mut PgConnection, queue: &str) -> Result<Vec<Drift>> {
    // Before the snapshot is taken, so that it holds what another one repaired.
    sqlx::query!(
        r#"select pg_advisory_lock(hashtextextended('weirgate lanes ' || $1, 0)) as "locked: ()""#,
        queue
    )
    .fetch_one(&mut *conn)
    .await?;
    let drifts = compare(conn, queue).await;
    sqlx::query!("select pg_advisory_unlock(hashtextextended('weirgate lanes ' || $1, 0))", queue)
        .fetch_one(conn)
        .await?;
    drifts
}

async fn compare(conn: &mut PgConnection, queue: &str) -> Result<Vec<Drift>> {
    let mut tx = conn.begin().await?;
    // One snapshot for the log and the jobs.
    sqlx::query!("set transaction isolation level repeatable read").execute(&mut *tx).await?;
    let book = Book::open(&mut tx, queue).await?;
    let mut there: HashMap<_, i64> = HashMap::new();
    let rows = sqlx::query!(
        // What is claimed runs, whatever its row says.
        r#"select tenant_id, backfill_id, priority,
               case
                   when state = 'available' and (seq, run + 1) in (select seq, run from queue.taken where queue = $1) then 'running'
                   else state::text
               end as "state!",
               count(*) as "count!"
           from queue.jobs where queue = $1 group by 1, 2, 3, 4"#,
        queue
    )
    .fetch_all(&mut *tx)
    .await?;
    for row in rows {
        let state: JobState = row.state.parse().expect("the enum's names are the states'");
        there.insert((row.tenant_id, row.backfill_id, row.priority, state), row.count);
    }
    let mut drifts = Vec::new();
    for (of, counted) in book.counts() {
        let is = there.remove(&of).unwrap_or_default();
        if is != counted {
            drifts.push(Drift { of, counted, there: is });
        }
    }
    drifts.extend(there.into_iter().map(|(of, is)| Drift { of, counted: 0, there: is }));
    if !drifts.is_empty() {
        repair(&mut tx, queue, &drifts).await?;
    }
    tx.commit().await?;
    Ok(drifts)
}

async fn repair(conn: &mut PgConnection, queue: &str, drifts: &[Drift]) -> Result<()> {
    tracing::error!(queue, ?drifts, "counts of lanes were adrift; repaired");
    let change = |drift: &Drift| i32::try_from(drift.there - drift.counted).unwrap_or_default();
    sqlx::query!(
        "insert into queue.lane_log (queue, tenants, backfills, priorities, states, changes, lowest)
         values ($1, $2, $3, $4, $5::text[]::queue.job_state[], $6, array_fill(0::bigint, array[cardinality($2::uuid[])]))",
        queue,
        &drifts.iter().map(|drift| drift.of.0).collect::<Vec<_>>(),
        &drifts.iter().map(|drift| drift.of.1).collect::<Vec<_>>() as &[Option<Uuid>],
        &drifts.iter().map(|drift| drift.of.2).collect::<Vec<_>>(),
        &drifts.iter().map(|drift| drift.of.3.to_string()).collect::<Vec<_>>(),
        &drifts.iter().map(change).collect::<Vec<_>>(),
    )
    .execute(conn)
    .await?;
    Ok(())
}
