//! Single jobs, and the jobs that they wait on.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::job::state::JobState;
use crate::read::row::{JobRow, WaitsOn};

/// One job, with its whole output.
pub async fn get(conn: &mut PgConnection, id: Uuid) -> Result<Option<JobRow>> {
    Ok(job_rows!(whole "where j.id = $1", id).fetch_optional(conn).await?)
}

/// One job as lists have it, without an output above 64 KiB.
pub async fn get_abridged(conn: &mut PgConnection, id: Uuid) -> Result<Option<JobRow>> {
    Ok(job_rows!("where j.id = $1", id).fetch_optional(conn).await?)
}

/// The first `limit` jobs that `job` waits on, or waited on.
pub async fn parents(conn: &mut PgConnection, job: Uuid, limit: i64) -> Result<Vec<WaitsOn>> {
    let rows = sqlx::query!(
        r#"select p.id, p.kind, p.name, p.state::text as "state!: JobState"
           from queue.job_dependencies d join queue.jobs p on p.id = d.parent_id
           where d.child_id = $1 order by d.child_id, d.parent_id limit $2"#,
        job,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| WaitsOn { id: row.id, kind: row.kind, name: row.name, state: row.state })
        .collect())
}
