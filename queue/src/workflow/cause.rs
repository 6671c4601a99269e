//! Jobs that were cancelled since another one failed, and the edges that say which.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::enqueue::OnFailure;
use crate::job::state::JobState;

/// One job of a workflow waits for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The job that is waited for.
    pub parent: Uuid,
    /// The job that waits.
    pub child: Uuid,
    /// What the end of the parent without success does to the child.
    pub on_failure: OnFailure,
}

/// The edges that lead to these jobs, in order of child and parent.
///
/// # Errors
/// When the database cannot answer.
pub async fn edges(conn: &mut PgConnection, children: &[Uuid]) -> sqlx::Result<Vec<Edge>> {
    let edges = sqlx::query_as!(
        Edge,
        r#"select parent_id as parent, child_id as child, on_failure as "on_failure: OnFailure" from queue.job_dependencies
         where child_id = any($1) order by child_id, parent_id"#,
        children
    );
    edges.fetch_all(conn).await
}

/// The job through which another one was cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The job that was cancelled.
    pub job: Uuid,
    /// The job through which it was.
    pub id: Uuid,
    /// The kind of that job.
    pub kind: String,
    /// Its name within its workflow.
    pub name: Option<String>,
    /// Where it stands.
    pub state: JobState,
    /// The code of its last error.
    pub code: Option<String>,
}

/// The jobs through which others were cancelled: of a chain of jobs that depend on each other, the
/// first one. `jobs` are those that were cancelled, each with what its row says.
///
/// # Errors
/// When the database cannot answer.
pub async fn causes(conn: &mut PgConnection, jobs: &[(Uuid, Option<Uuid>)]) -> sqlx::Result<Vec<Cause>> {
    let (jobs, by): (Vec<Uuid>, Vec<Option<Uuid>>) = jobs.iter().copied().unzip();
    let rows = sqlx::query!(
        r#"
        with recursive chain as (
            -- Rows of former versions do not say through which job.
            select asked.job, coalesce(asked.by, (
                select d.parent_id from queue.job_dependencies d where d.child_id = asked.job and d.outcome = 'failed'
                order by d.child_id, d.parent_id limit 1)) as id, 1 as depth
            from unnest($1::uuid[], $2::uuid[]) as asked (job, by)
            union all
            select c.job, coalesce(j.cancelled_by, (
                select d.parent_id from queue.job_dependencies d where d.child_id = j.id and d.outcome = 'failed'
                order by d.child_id, d.parent_id limit 1)), c.depth + 1
            from chain c
            join queue.jobs j on j.id = c.id
            where j.state = 'cancelled' and j.errors -> -1 ->> 'code' = 'dependency_failed' and j.failed_parents > 0
              and c.depth < 20
        )
        select distinct on (c.job) c.job as "job!", j.id, j.kind, j.name, j.state::text as "state!: JobState",
            j.errors -> -1 ->> 'code' as code
        from chain c join queue.jobs j on j.id = c.id
        order by c.job, c.depth desc
        "#,
        &jobs,
        &by as &[Option<Uuid>]
    )
    .fetch_all(conn)
    .await?;
    let causes = rows.into_iter().map(|row| Cause {
        job: row.job,
        id: row.id,
        kind: row.kind,
        name: row.name,
        state: row.state,
        code: row.code,
    });
    Ok(causes.collect())
}
