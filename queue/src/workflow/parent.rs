//! The jobs that a running job waited on, as its handler reads them.

use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::error::Result;
use crate::job::state::JobState;

/// A job that the running one waited on.
#[derive(Debug, Clone)]
pub struct Parent {
    /// Its id.
    pub id: Uuid,
    /// Its name within its workflow, if it has one.
    pub name: Option<String>,
    /// Its kind.
    pub kind: String,
    /// Its state: final, unless somebody retried it since.
    pub state: JobState,
    /// What it returned; `None` unless it has completed.
    pub output: Option<Value>,
}

impl Parent {
    /// Its output, read as the type that its handler returned; `None` unless it has completed.
    ///
    /// # Errors
    /// When the output cannot be read as `T`.
    pub fn output_as<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        Ok(self.output.as_ref().map(T::deserialize).transpose()?)
    }
}

/// The parents of `job`, in order of enqueueing.
pub(crate) async fn parents_of(pool: &PgPool, job: Uuid) -> Result<Vec<Parent>> {
    let rows = sqlx::query!(
        r#"select p.id, p.name, p.kind, p.state::text as "state!: JobState", p.output
           from queue.job_dependencies d join queue.jobs p on p.id = d.parent_id
           where d.child_id = $1 order by p.seq"#,
        job
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let output = row.output.filter(|_| row.state == JobState::Completed);
            Parent { id: row.id, name: row.name, kind: row.kind, state: row.state, output }
        })
        .collect())
}
