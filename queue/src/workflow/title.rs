//! The name and the subject of a workflow, which are a row of their own beside its jobs.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::database::column::column;
use crate::error::Result;

/// What is stored of a workflow, beside its jobs.
#[derive(Debug)]
pub(crate) struct Title {
    pub(crate) id: Uuid,
    pub(crate) tenant: Uuid,
    pub(crate) name: Option<String>,
    pub(crate) subject: Option<String>,
}

/// Stores the titles of workflows whose jobs have just been stored.
pub(crate) async fn store_titles(
    conn: &mut PgConnection,
    titles: impl Iterator<Item = &Title>,
) -> Result<()> {
    let titles: BTreeMap<Uuid, &Title> = titles.map(|title| (title.id, title)).collect();
    if titles.is_empty() {
        return Ok(());
    }
    let titles = || titles.values();
    sqlx::query!(
        "insert into queue.workflows (id, tenant_id, name, subject)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[])
         on conflict (id) do nothing",
        &column(titles(), |title| title.id),
        &column(titles(), |title| title.tenant),
        &column(titles(), |title| title.name.as_deref()) as &[Option<&str>],
        &column(titles(), |title| title.subject.as_deref()) as &[Option<&str>],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The name and the subject of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowTitle {
    /// The tenant of its first job.
    pub tenant_id: Uuid,
    /// Its name, if it was given one.
    pub name: Option<String>,
    /// What it is about, such as a day.
    pub subject: Option<String>,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
}

/// The title of a workflow; `None` where it has no job.
///
/// # Errors
/// When the database cannot answer.
pub async fn title(conn: &mut PgConnection, id: Uuid) -> Result<Option<WorkflowTitle>> {
    // A workflow without a row, which older versions did not write, is found by its jobs.
    let title = sqlx::query_as!(
        WorkflowTitle,
        r#"select j.tenant_id, w.name as "name?", w.subject as "subject?", j.created_at
           from queue.jobs j left join queue.workflows w on w.id = $1
           where j.workflow_id = $1 order by j.seq limit 1"#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(title)
}
