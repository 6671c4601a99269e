//! Whose turn it is to take in a dataset of a tenant: one run at a time, the oldest job first.
//!
//! A turn is a row, and no connection is held for it. It is over as soon as its run is no longer
//! the current one of its job: when the job has ended or was given back, or when its worker's lease
//! ran out. So nothing needs to be released, and a worker that dies keeps nobody waiting for longer
//! than its lease. Whoever takes the turn counts it; a run that was overtaken, such as one of a
//! process that stood still, finds the count changed before it writes.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::job::RunId;
use weirgate_queue::{JobContext, JobError};

use crate::App;
use crate::sources::Dataset;

/// The next in line waits in its slot for so long, so that short ingests follow each other at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it looks meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// Everybody else, and whoever has lost patience, comes back later: after a fourth of the time for
/// which the turn has been taken, within these bounds.
const PAUSE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(15)];

/// The place of the next in line is kept for so long beyond its pause, as a busy queue may take up
/// its job late. One that is over gives it up at once.
const KEPT: Duration = Duration::from_secs(20);

/// The turn of a run.
#[derive(Debug)]
pub(crate) struct IngestTurn {
    pub(crate) tenant: Uuid,
    pub(crate) dataset: Dataset,
    /// Counts the turns of the dataset.
    pub(crate) generation: i64,
    /// When the turn began, and so the reading of the source.
    pub(crate) began_at: DateTime<Utc>,
}

/// What became of a request for the turn.
enum Asked {
    Taken(IngestTurn),
    /// Nobody comes before it.
    Next(Duration),
    /// Others come before it.
    Later(Duration),
}

impl IngestTurn {
    /// Takes the turn once no other run has it.
    ///
    /// # Errors
    /// [`JobError::Snooze`] where that takes longer than a moment.
    pub(crate) async fn wait(
        ctx: &JobContext<App>,
        tenant: Uuid,
        dataset: Dataset,
    ) -> Result<Self, JobError> {
        let Some(run) = ctx.run() else {
            // Without a job there is nobody to wait for it.
            return Ok(count(&mut *ctx.app.pool.acquire().await?, tenant, dataset, None).await?);
        };
        let mut patience = PATIENCE;
        loop {
            match ask(ctx, tenant, dataset, run).await? {
                Asked::Taken(turn) => return Ok(turn),
                Asked::Next(_) if !patience.is_zero() => {
                    tokio::select! {
                        () = ctx.cancelled() => return Err(JobError::Cancelled),
                        () = tokio::time::sleep(LOOK) => patience = patience.saturating_sub(LOOK),
                    }
                }
                Asked::Next(pause) | Asked::Later(pause) => return Err(JobError::snooze(pause)),
            }
        }
    }

    /// Keeps the next turn for a read that waits for its source: who was enqueued later stands
    /// behind it, else it would have to begin anew.
    pub(crate) async fn keep_place(
        &self,
        conn: &mut PgConnection,
        run: &RunId,
        wait: Duration,
    ) -> sqlx::Result<()> {
        come_next(conn, self.tenant, self.dataset, run, wait + KEPT).await
    }

    /// Makes sure that the turn lasts for as long as `conn`'s transaction.
    ///
    /// # Errors
    /// When another run has taken it since.
    pub(crate) async fn keep(&self, conn: &mut PgConnection) -> Result<(), JobError> {
        let kept = sqlx::query_scalar!(
            "select generation from msp.ingest_turns where tenant_id = $1 and dataset = $2 and generation = $3 for share",
            self.tenant,
            self.dataset.name(),
            self.generation
        )
        .fetch_optional(conn)
        .await?;
        kept.map(|_| ()).ok_or_else(|| {
            JobError::failed(
                "ingest_overtaken",
                anyhow::anyhow!("a newer ingest of {} has started; this run stops writing", self.dataset),
            )
        })
    }
}

/// Takes the turn for the run where it is free and nobody older waits for it; else notes who comes
/// next.
async fn ask(ctx: &JobContext<App>, tenant: Uuid, dataset: Dataset, run: &RunId) -> Result<Asked, JobError> {
    let mut tx = ctx.app.pool.begin().await?;
    lock(&mut tx, tenant, dataset).await?;
    // A statement of its own: one that waited for the row would not see what has become of others'
    // runs meanwhile.
    let now = sqlx::query!(
        r#"select queue.is_current_run(job_id, run, worker_id) as "is_taken!",
            coalesce(next_job_id <> $3 and next_seq < $4 and next_until > queue.now(), false)
                and queue.is_open(next_job_id) as "is_behind!",
            coalesce(extract(epoch from queue.now() - began_at), 0)::float8 as "taken_for_s!",
            coalesce(extract(epoch from next_until - queue.now()), 0)::float8 as "kept_for_s!"
           from msp.ingest_turns where tenant_id = $1 and dataset = $2"#,
        tenant,
        dataset.name(),
        run.job,
        run.seq
    )
    .fetch_one(&mut *tx)
    .await?;
    // Where nobody has it, it is kept for who comes next, which may be a read that waits for its
    // source.
    let expected = if now.is_taken { now.taken_for_s } else { now.kept_for_s };
    let pause = Duration::try_from_secs_f64(expected / 4.0).unwrap_or_default().clamp(PAUSE[0], PAUSE[1]);
    let asked = match (now.is_taken, now.is_behind) {
        (false, false) => Asked::Taken(count(&mut tx, tenant, dataset, Some(run)).await?),
        (true, false) => {
            come_next(&mut tx, tenant, dataset, run, pause + KEPT).await?;
            Asked::Next(pause)
        }
        (_, true) => Asked::Later(pause),
    };
    tx.commit().await?;
    Ok(asked)
}

async fn lock(conn: &mut PgConnection, tenant: Uuid, dataset: Dataset) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into msp.ingest_turns (tenant_id, dataset) values ($1, $2)
         on conflict (tenant_id, dataset) do update set dataset = excluded.dataset",
        tenant,
        dataset.name()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives the turn to a run, or to a caller without one.
async fn count(
    conn: &mut PgConnection,
    tenant: Uuid,
    dataset: Dataset,
    run: Option<&RunId>,
) -> sqlx::Result<IngestTurn> {
    let turn = sqlx::query!(
        r#"insert into msp.ingest_turns as t (tenant_id, dataset, generation, job_id, run, worker_id, began_at)
         values ($1, $2, 1, $3, $4, $5, queue.now())
         on conflict (tenant_id, dataset) do update
         set generation = t.generation + 1, job_id = excluded.job_id, run = excluded.run, worker_id = excluded.worker_id,
             began_at = excluded.began_at,
             next_job_id = nullif(t.next_job_id, excluded.job_id),
             next_until = case when t.next_job_id <> excluded.job_id then t.next_until end
         returning generation, began_at as "began_at!""#,
        tenant,
        dataset.name(),
        run.map(|run| run.job),
        run.map(|run| run.run),
        run.map(|run| run.worker)
    )
    .fetch_one(conn)
    .await?;
    Ok(IngestTurn { tenant, dataset, generation: turn.generation, began_at: turn.began_at })
}

async fn come_next(
    conn: &mut PgConnection,
    tenant: Uuid,
    dataset: Dataset,
    run: &RunId,
    kept: Duration,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update msp.ingest_turns
         set next_job_id = $3, next_seq = $4, next_until = queue.now() + make_interval(secs => $5)
         where tenant_id = $1 and dataset = $2",
        tenant,
        dataset.name(),
        run.job,
        run.seq,
        kept.as_secs_f64()
    )
    .execute(conn)
    .await?;
    Ok(())
}
