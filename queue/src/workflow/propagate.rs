//! Propagates the ends and retries of jobs to their dependents. See the module above for the rules.
//!
//! The state of a job changes under its row's lock. A child's edges are updated under the child's
//! own lock, by a statement that reads what its parents are at that moment. So whoever updates an
//! edge last writes the truth, and updating it twice changes nothing. Every change of a parent is
//! followed by an update of its edges: in its own transaction, or through a row of
//! `queue.unresolved` that the transaction wrote.
//! A transaction that holds a job and updates its children never waits for a child: children that
//! are locked are left to that table. Only the resolver waits, and it holds nothing but children,
//! which it locks in the order of their ids.
//!
//! The queries of edges ask for the order of the index `job_dependencies_parent`: where nearly all
//! edges have one parent, a plan by the statistics alone reads the whole table for each job that
//! has no child.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use az::SaturatingAs;
use sqlx::PgConnection;
use uuid::Uuid;

use super::children::{ChangedChildren, update_children, update_edges};
use crate::database::column::column;
use crate::enqueue::notify::notify_queues;
use crate::error::Result;

/// Most edges that one transaction updates.
const MAX_EDGES: i64 = 500;

/// The resolver is woken as workers are, by a notification under this name, which no queue has.
pub(crate) const RESOLVER_WAKE_NAME: &str = "queue.unresolved";

/// A job whose end or retry is still to be propagated to its children with ids above `after`.
#[derive(Debug, Clone, Copy)]
struct Propagation {
    job: Uuid,
    after: Uuid,
}

impl Propagation {
    fn to_all_children_of(job: Uuid) -> Self {
        Self { job, after: Uuid::nil() }
    }
}

/// Whose transaction propagates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A transaction that ends jobs. It must not fail because a child cannot be retried.
    End,
    /// A transaction that retries a job.
    Retry,
    /// The resolver's.
    Resolver,
}

/// Propagates that these jobs became final to their children, and further to the children of those
/// that are cancelled by it.
pub(crate) async fn propagate_ends(conn: &mut PgConnection, ended: Vec<Uuid>) -> Result<()> {
    propagate(conn, ended, Origin::End).await
}

/// Propagates to its children that a final job was retried.
pub(crate) async fn propagate_retry(conn: &mut PgConnection, job: Uuid) -> Result<()> {
    propagate(conn, vec![job], Origin::Retry).await
}

/// Updates at most [`MAX_EDGES`] edges in this transaction, level by level down the graph, and
/// defers the others to the resolver.
async fn propagate(conn: &mut PgConnection, jobs: Vec<Uuid>, origin: Origin) -> Result<()> {
    let mut budget = MAX_EDGES;
    let mut level: Vec<Propagation> = jobs.into_iter().map(Propagation::to_all_children_of).collect();
    let mut available_in = BTreeSet::new();
    let mut deferred = Vec::new();
    while !level.is_empty() {
        let (now, later) = split_by_budget(conn, level, budget).await?;
        deferred.extend(later);
        let batch = update_dependents(conn, &now, origin).await?;
        budget -= batch.edges;
        deferred.extend(batch.rest);
        available_in.extend(batch.changed.available_in);
        level = batch.changed.ended_or_retried.into_iter().map(Propagation::to_all_children_of).collect();
    }
    defer(conn, &deferred).await?;
    notify_queues(conn, available_in).await
}

/// One transaction of the resolver: updates up to [`MAX_EDGES`] edges that were deferred, and
/// defers what follows from that. Returns how many rows of `queue.unresolved` it found.
pub(crate) async fn resolve_deferred(conn: &mut PgConnection) -> Result<usize> {
    let rows = sqlx::query!(
        "select id, job_id, after_child from queue.unresolved order by id limit $1 for update skip locked",
        MAX_EDGES
    )
    .fetch_all(&mut *conn)
    .await?;
    // A job may be deferred more than once; then the row that starts at the lowest child counts.
    let mut starts: BTreeMap<Uuid, Uuid> = BTreeMap::new();
    for row in &rows {
        let after = starts.entry(row.job_id).or_insert(row.after_child);
        *after = row.after_child.min(*after);
    }
    let all = starts.into_iter().map(|(job, after)| Propagation { job, after }).collect();
    let (now, later) = split_by_budget(conn, all, MAX_EDGES).await?;
    let later: HashSet<Uuid> = later.into_iter().map(|propagation| propagation.job).collect();
    let batch = update_dependents(conn, &now, Origin::Resolver).await?;
    let done: Vec<i64> = rows.iter().filter(|row| !later.contains(&row.job_id)).map(|row| row.id).collect();
    sqlx::query!("delete from queue.unresolved where id = any($1)", &done).execute(&mut *conn).await?;
    let mut rest = batch.rest;
    rest.extend(batch.changed.ended_or_retried.into_iter().map(Propagation::to_all_children_of));
    defer(conn, &rest).await?;
    notify_queues(conn, batch.changed.available_in).await?;
    Ok(rows.len())
}

/// Splits into what has at most `budget` edges together and what is left; drops what has no edge. A
/// transaction with its whole budget takes its first job even when that job has more edges.
async fn split_by_budget(
    conn: &mut PgConnection,
    propagations: Vec<Propagation>,
    budget: i64,
) -> Result<(Vec<Propagation>, Vec<Propagation>)> {
    if propagations.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let rows = sqlx::query_file!(
        "src/workflow/count_edges.sql",
        &column(&propagations, |propagation| propagation.job),
        &column(&propagations, |propagation| propagation.after),
        budget,
    )
    .fetch_all(conn)
    .await?;
    let mut left = budget;
    let (mut now, mut later) = (Vec::new(), Vec::new());
    for row in rows {
        let propagation = Propagation { job: row.job, after: row.after };
        let fits = row.edges <= left || left == MAX_EDGES;
        if fits {
            left = (left - row.edges).max(0);
            now.push(propagation);
        } else {
            later.push(propagation);
        }
    }
    Ok((now, later))
}

/// Records what is left, for the resolver, which is woken when this commits.
async fn defer(conn: &mut PgConnection, propagations: &[Propagation]) -> Result<()> {
    if propagations.is_empty() {
        return Ok(());
    }
    sqlx::query_file!(
        "src/workflow/defer.sql",
        &column(propagations, |propagation| propagation.job),
        &column(propagations, |propagation| propagation.after),
    )
    .execute(&mut *conn)
    .await?;
    notify_queues(conn, [RESOLVER_WAKE_NAME.to_owned()]).await
}

/// What a batch of updates changed, and what it left.
#[derive(Default)]
struct Batch {
    edges: i64,
    changed: ChangedChildren,
    rest: Vec<Propagation>,
}

/// Updates the next edges and children of each job, up to [`MAX_EDGES`] a job.
async fn update_dependents(
    conn: &mut PgConnection,
    propagations: &[Propagation],
    origin: Origin,
) -> Result<Batch> {
    if propagations.is_empty() {
        return Ok(Batch::default());
    }
    let edges = sqlx::query_file!(
        "src/workflow/next_edges.sql",
        &column(propagations, |propagation| propagation.job),
        &column(propagations, |propagation| propagation.after),
        MAX_EDGES,
    )
    .fetch_all(&mut *conn)
    .await?;
    // A transaction that ends a job leaves failed edges to the resolver: their children may have to
    // be retried (when a retry of the parent was overtaken by its next end), and a duplicate that
    // is being enqueued would make the transaction fail.
    let is_updatable = |failed: bool| origin != Origin::End || !failed;
    let children: BTreeSet<Uuid> =
        edges.iter().filter(|edge| is_updatable(edge.failed)).map(|edge| edge.child_id).collect();
    let locked = lock_children(conn, &children, origin).await?;
    let mut rest: BTreeMap<Uuid, Uuid> = BTreeMap::new();
    // Of each job, the last child that was read, and how many children were.
    let mut last_read: HashMap<Uuid, (Uuid, i64)> = HashMap::new();
    let (mut parents, mut updatable) = (Vec::new(), Vec::new());
    for edge in &edges {
        let (before, count) = last_read.insert(edge.job, (edge.child_id, 0)).unwrap_or((Uuid::nil(), 0));
        last_read.insert(edge.job, (edge.child_id, count + 1));
        if locked.contains(&edge.child_id) && is_updatable(edge.failed) {
            parents.push(edge.job);
            updatable.push(edge.child_id);
        } else {
            // The resolver begins at the first child that could not be updated; those after it that
            // could are updated again, which changes nothing.
            rest.entry(edge.job).or_insert(before);
        }
    }
    for (job, (child, count)) in last_read {
        if count == MAX_EDGES {
            rest.entry(job).or_insert(child);
        }
    }
    let changes = update_edges(conn, &parents, &updatable).await?;
    Ok(Batch {
        edges: edges.len().saturating_as::<i64>(),
        changed: update_children(conn, &changes).await?,
        rest: rest.into_iter().map(|(job, after)| Propagation { job, after }).collect(),
    })
}

async fn lock_children(
    conn: &mut PgConnection,
    children: &BTreeSet<Uuid>,
    origin: Origin,
) -> Result<BTreeSet<Uuid>> {
    let children: Vec<Uuid> = children.iter().copied().collect();
    let locked = if origin == Origin::Resolver {
        sqlx::query_scalar!(
            "select id from queue.jobs where id = any($1) order by id for no key update",
            &children
        )
        .fetch_all(conn)
        .await?
    } else {
        sqlx::query_scalar!(
            "select id from queue.jobs where id = any($1) order by id for no key update skip locked",
            &children
        )
        .fetch_all(conn)
        .await?
    };
    Ok(locked.into_iter().collect())
}
