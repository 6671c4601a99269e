//! Duplicates: what happens to a live unique job when the same one is enqueued again.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::database::column::column;
use crate::enqueue::new_job::NewJob;
use crate::enqueue::notify::notify_queues;
use crate::error::Result;

/// The live job that another one would have duplicated.
pub(super) struct Duplicate {
    pub(super) id: Uuid,
    /// Whether it waits for a later time, and has never started.
    pub(super) starts_later: bool,
}

/// The live jobs with the unique keys of `jobs`, by key.
pub(super) async fn live(conn: &mut PgConnection, jobs: &[&NewJob]) -> Result<HashMap<Vec<u8>, Duplicate>> {
    let keys: Vec<Vec<u8>> = jobs.iter().filter_map(|job| job.unique_key.clone()).collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"select live_key as "unique_key!", id,
              state in ('scheduled', 'waiting') and run = 0 and scheduled_at > queue.now() as "starts_later!"
           from queue.jobs where live_key = any($1)"#,
        &keys
    )
    .fetch_all(conn)
    .await?;
    let duplicate = |id, starts_later| Duplicate { id, starts_later };
    Ok(rows.into_iter().map(|row| (row.unique_key, duplicate(row.id, row.starts_later))).collect())
}

/// Lets jobs start no later than those that would have duplicated them. A job that has started
/// before keeps its time, as it waits for a reason of its own: an upstream may have asked for it.
pub(super) async fn move_forward(conn: &mut PgConnection, jobs: &[(Uuid, &NewJob)]) -> Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    let queues = sqlx::query_file_scalar!(
        "src/enqueue/move_forward.sql",
        &column(jobs, |(id, _)| *id),
        &column(jobs, |(_, job)| job.run_at) as &[Option<DateTime<Utc>>],
        &column(jobs, |(_, job)| job.delay_s),
    )
    .fetch_all(&mut *conn)
    .await?;
    notify_queues(conn, queues).await
}

/// Lets `job`, or the whole workflow that it is part of, start no later than `new`, which would
/// have duplicated it.
pub(crate) async fn move_workflow_forward(conn: &mut PgConnection, job: Uuid, new: &NewJob) -> Result<()> {
    let later = sqlx::query_scalar!(
        r#"select j.id from queue.jobs j
           where j.id = any(array[$1::uuid] || array(
                select w.id from queue.jobs w where w.workflow_id = (select workflow_id from queue.jobs where id = $1)))
             and j.state in ('scheduled', 'waiting') and j.run = 0 and j.scheduled_at > queue.now()"#,
        job
    )
    .fetch_all(&mut *conn)
    .await?;
    move_forward(conn, &later.into_iter().map(|id| (id, new)).collect::<Vec<_>>()).await
}
