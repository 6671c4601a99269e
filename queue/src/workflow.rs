//! Jobs that wait on jobs: edges, and what the end of a parent does to its children.

use std::collections::BTreeSet;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::enqueue::OnFailure;
use crate::error::Result;
use crate::listener::notify_queues;

/// One job waits on another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edge {
    pub(crate) tenant: Uuid,
    pub(crate) child: Uuid,
    pub(crate) parent: Uuid,
    pub(crate) on_failure: OnFailure,
}

/// A job that just became final.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) id: Uuid,
    pub(crate) completed: bool,
}

/// Stores edges of children that were just inserted as `waiting`, and settles those whose parent is already final.
pub(crate) async fn link(conn: &mut PgConnection, edges: Vec<Edge>) -> Result<()> {
    if edges.is_empty() {
        return Ok(());
    }
    let children: Vec<Uuid> = edges.iter().map(|edge| edge.child).collect();
    let parents: Vec<Uuid> = edges.iter().map(|edge| edge.parent).collect();
    sqlx::query!(
        "insert into queue.job_dependencies (tenant_id, child_id, parent_id, on_failure)
         select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[])",
        &edges.iter().map(|edge| edge.tenant).collect::<Vec<_>>(),
        &children,
        &parents,
        &edges.iter().map(|edge| edge.on_failure.as_str().to_owned()).collect::<Vec<_>>(),
    )
    .execute(&mut *conn)
    .await?;
    // The lock makes a finish of the parent either be seen here, or see these edges.
    let ended: Vec<Ended> = sqlx::query!(
        r#"select id, state = 'completed' as "completed!", state in ('completed', 'cancelled', 'discarded') as "ended!"
           from queue.jobs where id = any($1) order by id for share"#,
        &parents
    )
    .fetch_all(&mut *conn)
    .await?
    .into_iter()
    .filter(|row| row.ended)
    .map(|row| Ended { id: row.id, completed: row.completed })
    .collect();
    settle_children(conn, ended, Some(&children)).await
}

/// Tells the children of jobs that became final: the last parent releases its child, a failed one cancels it where
/// the edge says so, and on down the graph.
pub(crate) async fn settle(conn: &mut PgConnection, ended: Vec<Ended>) -> Result<()> {
    settle_children(conn, ended, None).await
}

async fn settle_children(
    conn: &mut PgConnection,
    mut ended: Vec<Ended>,
    only: Option<&[Uuid]>,
) -> Result<()> {
    let mut only = only.map(<[Uuid]>::to_vec);
    let mut woken = BTreeSet::new();
    while !ended.is_empty() {
        let all: Vec<Uuid> = ended.iter().map(|job| job.id).collect();
        let failed: Vec<Uuid> = ended.iter().filter(|job| !job.completed).map(|job| job.id).collect();
        let cancelled = cancel_children(conn, &failed, only.as_deref()).await?;
        woken.extend(release_children(conn, &all, only.as_deref()).await?);
        ended = cancelled.into_iter().map(|id| Ended { id, completed: false }).collect();
        only = None;
    }
    notify_queues(conn, woken).await
}

async fn cancel_children(
    conn: &mut PgConnection,
    failed: &[Uuid],
    only: Option<&[Uuid]>,
) -> Result<Vec<Uuid>> {
    if failed.is_empty() {
        return Ok(Vec::new());
    }
    let ids = sqlx::query_scalar!(
        r#"
        with doomed as (
            select c.id, min(p.kind || ' ' || p.id || ' was ' || p.state) as why
            from queue.job_dependencies d
            join queue.jobs c on c.id = d.child_id
            join queue.jobs p on p.id = d.parent_id
            where d.parent_id = any($1) and d.on_failure = 'cancel' and c.state = 'waiting'
              and ($2::uuid[] is null or d.child_id = any($2))
            group by c.id
        ), locked as (
            select c.id, doomed.why from queue.jobs c join doomed using (id)
            where c.state = 'waiting' order by c.id for update of c
        )
        update queue.jobs c
        set state = 'cancelled',
            finalized_at = queue.now(),
            errors = c.errors || jsonb_build_object(
                'attempt', c.attempt, 'at', queue.now(), 'code', 'dependency_failed', 'message', locked.why,
                'retry_at', null)
        from locked where c.id = locked.id
        returning c.id
        "#,
        failed,
        only
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

async fn release_children(
    conn: &mut PgConnection,
    ended: &[Uuid],
    only: Option<&[Uuid]>,
) -> Result<Vec<String>> {
    let rows = sqlx::query!(
        r#"
        with counted as (
            select child_id as id, count(*)::integer as settled
            from queue.job_dependencies
            where parent_id = any($1) and ($2::uuid[] is null or child_id = any($2))
            group by child_id
        ), locked as (
            select c.id, c.pending_parents - counted.settled as pending
            from queue.jobs c join counted using (id)
            where c.state = 'waiting' order by c.id for update of c
        )
        update queue.jobs c
        set pending_parents = locked.pending,
            state = (case
                when locked.pending > 0 then 'waiting'
                when c.scheduled_at > queue.now() then 'scheduled'
                else 'available'
            end)::queue.job_state
        from locked where c.id = locked.id
        returning c.queue, c.state = 'available' as "available!"
        "#,
        ended,
        only
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().filter(|row| row.available).map(|row| row.queue).collect())
}

/// Children that still wait on other parents wait on this one again: its first end was counted, and its next one will be.
pub(crate) async fn wait_again(conn: &mut PgConnection, revived: Uuid) -> Result<()> {
    sqlx::query!(
        "with locked as (
            select c.id from queue.jobs c
            join queue.job_dependencies d on d.child_id = c.id
            where d.parent_id = $1 and c.state = 'waiting' order by c.id for update of c
        )
        update queue.jobs c set pending_parents = c.pending_parents + 1 from locked where c.id = locked.id",
        revived
    )
    .execute(conn)
    .await?;
    Ok(())
}
