//! What a reading of a dataset has seen, so that what it has not is known to be gone from the
//! source.
//!
//! It stands in the database and not in memory, as a dataset may have any number of rows.

use anyhow::anyhow;
use sqlx::PgConnection;
use weirgate_queue::{JobContext, JobError};

use super::turn::IngestTurn;
use super::upsert::Upsert;
use crate::App;

/// What one reading has seen so far.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The turn in which the reading began.
    pub(crate) since: i64,
    /// How many batches were stored.
    pub(crate) batches: i64,
}

impl Seen {
    /// Whether nothing was added yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.batches == 0
    }

    /// Adds a batch, in the transaction that stores its rows.
    pub(crate) async fn add<R: Upsert>(
        &mut self,
        conn: &mut PgConnection,
        turn: &IngestTurn,
        rows: &[R],
    ) -> sqlx::Result<()> {
        if self.is_empty() {
            forget(conn, turn).await?;
        }
        self.batches += 1;
        let (keys, parts): (Vec<&str>, Vec<&str>) = rows.iter().map(Upsert::key).unzip();
        sqlx::query!(
            "insert into msp.ingest_seen (tenant_id, dataset, generation, batch, keys, parts) values ($1, $2, $3, $4, $5, $6)",
            turn.tenant,
            turn.dataset.name(),
            self.since,
            self.batches,
            &keys as &[&str],
            &parts as &[&str]
        )
        .execute(conn)
        .await?;
        Ok(())
    }

    /// Marks all other rows of the dataset as deleted. Only for a reading that has come to the end
    /// of the source.
    ///
    /// # Errors
    /// When batches are gone: the database lost what was stored without waiting for the disk, or
    /// another ingest came in between.
    pub(crate) async fn mark_others<R: Upsert>(
        self,
        conn: &mut PgConnection,
        turn: &IngestTurn,
    ) -> Result<(), JobError> {
        let stored = count(&mut *conn, turn, self.since).await?;
        if stored != self.batches {
            let why = "what was read before is no longer known, as the database was restarted or another ingest came in between; the source is read again";
            return Err(JobError::failed("ingest_lost", anyhow!(why)));
        }
        // Postgres cannot know how many keys there are in the arrays, and to look at all of them
        // for each row would take hours.
        sqlx::query!("set local enable_nestloop = off").execute(&mut *conn).await?;
        let marked = R::mark_unseen(&mut *conn, turn, self.since).await?;
        sqlx::query!("set local enable_nestloop to default").execute(&mut *conn).await?;
        if marked > 0 {
            tracing::info!(tenant.id = %turn.tenant, dataset = %turn.dataset, rows = marked, "rows are gone from their source");
        }
        forget(conn, turn).await?;
        Ok(())
    }
}

/// Whether all is there that a reading had seen when it was told to wait. What a run saw after
/// that, without coming to an end, is forgotten.
pub(crate) async fn is_known(
    ctx: &JobContext<App>,
    turn: &IngestTurn,
    since: i64,
    batches: i64,
) -> Result<bool, JobError> {
    let mut tx = ctx.app.pool.begin().await?;
    turn.keep(&mut tx).await?;
    sqlx::query!(
        "delete from msp.ingest_seen where tenant_id = $1 and dataset = $2 and generation = $3 and batch > $4",
        turn.tenant,
        turn.dataset.name(),
        since,
        batches
    )
    .execute(&mut *tx)
    .await?;
    let stored = count(&mut tx, turn, since).await?;
    tx.commit().await?;
    Ok(stored == batches)
}

/// How many batches of a reading are stored.
async fn count(conn: &mut PgConnection, turn: &IngestTurn, since: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from msp.ingest_seen where tenant_id = $1 and dataset = $2 and generation = $3"#,
        turn.tenant,
        turn.dataset.name(),
        since
    )
    .fetch_one(conn)
    .await
}

/// Deletes what this reading, and those before it, have seen.
async fn forget(conn: &mut PgConnection, turn: &IngestTurn) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from msp.ingest_seen where tenant_id = $1 and dataset = $2 and generation <= $3",
        turn.tenant,
        turn.dataset.name(),
        turn.generation
    )
    .execute(conn)
    .await?;
    Ok(())
}
