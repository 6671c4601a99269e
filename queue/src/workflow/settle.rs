//! Tells children what became of their parents. See the module above for the rules.
//!
//! The state of a job changes under its row's lock; a child is told under its own row's lock, by a statement that sees
//! what its parents are at that moment. So whoever tells last tells the truth, telling twice changes nothing, and
//! every change is followed by somebody who tells: its own transaction, or a row of `queue.unresolved` that it wrote.
//! A transaction that holds a job and tells its children never waits for a child: what is locked goes to that table.
//! Only the settler waits, and it holds nothing but children, in the order of their ids.
//!
//! The queries of edges ask for the order of the index `job_dependencies_parent`: where nearly all edges have one parent, a
//! plan by the statistics alone reads the whole table for each job that has none.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sqlx::PgConnection;
use uuid::Uuid;

use super::told::{Changed, apply, update_edges};
use crate::error::Result;
use crate::maintenance::settler;
use crate::worker::listener::notify_queues;

/// Most edges that one transaction tells.
pub(crate) const STEP: i64 = 500;

/// A job whose children after this id are to be told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ripple {
    pub(crate) job: Uuid,
    pub(crate) after: Uuid,
}

impl Ripple {
    fn of(job: Uuid) -> Self {
        Self { job, after: Uuid::nil() }
    }
}

/// Who tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// A transaction that ends jobs: it must not fail because a child cannot live again.
    End,
    /// A transaction that revives a job.
    Revival,
    /// The settler.
    Settler,
}

/// Tells the children of jobs that became final, and theirs where they are cancelled in turn.
pub(crate) async fn settle(conn: &mut PgConnection, ended: Vec<Uuid>) -> Result<()> {
    settle_now(conn, ended, By::End).await
}

/// Tells the children of a job that lives again.
pub(crate) async fn settle_revived(conn: &mut PgConnection, job: Uuid) -> Result<()> {
    settle_now(conn, vec![job], By::Revival).await
}

/// At most [`STEP`] edges in this transaction.
async fn settle_now(conn: &mut PgConnection, jobs: Vec<Uuid>, by: By) -> Result<()> {
    let mut budget = STEP;
    let mut level: Vec<Ripple> = jobs.into_iter().map(Ripple::of).collect();
    let mut woken = BTreeSet::new();
    let mut later = Vec::new();
    while !level.is_empty() {
        let (now, put_off) = within(conn, level, budget).await?;
        later.extend(put_off);
        let step = tell(conn, &now, by).await?;
        budget -= step.edges;
        later.extend(step.rest);
        woken.extend(step.changed.woken);
        level = step.changed.jobs.into_iter().map(Ripple::of).collect();
    }
    put_off(conn, &later).await?;
    notify_queues(conn, woken).await
}

/// One step of the settler: tells up to [`STEP`] edges and notes what that leads to. Answers how many rows of
/// `queue.unresolved` it found.
pub(crate) async fn settle_some(conn: &mut PgConnection) -> Result<usize> {
    let noted = sqlx::query!(
        "select id, job_id, after_child from queue.unresolved order by id limit $1 for update skip locked",
        STEP
    )
    .fetch_all(&mut *conn)
    .await?;
    // A job may be noted more than once; then the one that starts earliest counts.
    let mut ripples: BTreeMap<Uuid, Uuid> = BTreeMap::new();
    for row in &noted {
        let after = ripples.entry(row.job_id).or_insert(row.after_child);
        *after = row.after_child.min(*after);
    }
    let ripples = ripples.into_iter().map(|(job, after)| Ripple { job, after }).collect();
    let (now, later) = within(conn, ripples, STEP).await?;
    let later: HashSet<Uuid> = later.into_iter().map(|ripple| ripple.job).collect();
    let step = tell(conn, &now, By::Settler).await?;
    let done: Vec<i64> = noted.iter().filter(|row| !later.contains(&row.job_id)).map(|row| row.id).collect();
    sqlx::query!("delete from queue.unresolved where id = any($1)", &done).execute(&mut *conn).await?;
    let mut rest = step.rest;
    rest.extend(step.changed.jobs.into_iter().map(Ripple::of));
    put_off(conn, &rest).await?;
    notify_queues(conn, step.changed.woken).await?;
    Ok(noted.len())
}

/// Splits into what has at most `budget` edges in all and what is left; drops what has none. A whole step takes up its
/// first job even when that has more.
async fn within(
    conn: &mut PgConnection,
    ripples: Vec<Ripple>,
    budget: i64,
) -> Result<(Vec<Ripple>, Vec<Ripple>)> {
    if ripples.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let rows = sqlx::query_file!(
        "src/workflow/count_edges.sql",
        &ripples.iter().map(|ripple| ripple.job).collect::<Vec<_>>(),
        &ripples.iter().map(|ripple| ripple.after).collect::<Vec<_>>(),
        budget,
    )
    .fetch_all(conn)
    .await?;
    let mut left = budget;
    let mut split = (Vec::new(), Vec::new());
    for row in rows {
        let ripple = Ripple { job: row.job, after: row.after };
        let fits = row.edges <= left || left == STEP;
        if fits {
            left = (left - row.edges).max(0);
            split.0.push(ripple);
        } else {
            split.1.push(ripple);
        }
    }
    Ok(split)
}

/// Notes what is still to be told, for the settler to take up when this commits.
async fn put_off(conn: &mut PgConnection, ripples: &[Ripple]) -> Result<()> {
    if ripples.is_empty() {
        return Ok(());
    }
    sqlx::query_file!(
        "src/workflow/put_off.sql",
        &ripples.iter().map(|ripple| ripple.job).collect::<Vec<_>>(),
        &ripples.iter().map(|ripple| ripple.after).collect::<Vec<_>>(),
    )
    .execute(&mut *conn)
    .await?;
    notify_queues(conn, [settler::WAKE.to_owned()]).await
}

/// What a step has done, and what it leaves.
#[derive(Default)]
struct Step {
    edges: i64,
    changed: Changed,
    rest: Vec<Ripple>,
}

/// Tells children of `ripples`, up to [`STEP`] each.
async fn tell(conn: &mut PgConnection, ripples: &[Ripple], by: By) -> Result<Step> {
    if ripples.is_empty() {
        return Ok(Step::default());
    }
    let edges = sqlx::query_file!(
        "src/workflow/next_edges.sql",
        &ripples.iter().map(|ripple| ripple.job).collect::<Vec<_>>(),
        &ripples.iter().map(|ripple| ripple.after).collect::<Vec<_>>(),
        STEP,
    )
    .fetch_all(&mut *conn)
    .await?;
    // An end does not revive: a twin that is being enqueued would make it fail. It happens when a revival is overtaken.
    let children: BTreeSet<Uuid> =
        edges.iter().filter(|edge| by != By::End || !edge.failed).map(|edge| edge.child_id).collect();
    let locked = lock_children(conn, &children, by).await?;
    let mut rest: BTreeMap<Uuid, Uuid> = BTreeMap::new();
    let mut last: HashMap<Uuid, (Uuid, i64)> = HashMap::new();
    let (mut parents, mut tellable) = (Vec::new(), Vec::new());
    for edge in &edges {
        let (before, count) = last.insert(edge.job, (edge.child_id, 0)).unwrap_or((Uuid::nil(), 0));
        last.insert(edge.job, (edge.child_id, count + 1));
        if locked.contains(&edge.child_id) && (by != By::End || !edge.failed) {
            parents.push(edge.job);
            tellable.push(edge.child_id);
        } else {
            // From the first one on that could not be told; what is told again does not mind.
            rest.entry(edge.job).or_insert(before);
        }
    }
    for (job, (child, count)) in last {
        if count == STEP {
            rest.entry(job).or_insert(child);
        }
    }
    let told = update_edges(conn, &parents, &tellable).await?;
    Ok(Step {
        edges: i64::try_from(edges.len()).unwrap_or(i64::MAX),
        changed: apply(conn, &told).await?,
        rest: rest.into_iter().map(|(job, after)| Ripple { job, after }).collect(),
    })
}

async fn lock_children(conn: &mut PgConnection, children: &BTreeSet<Uuid>, by: By) -> Result<BTreeSet<Uuid>> {
    let children: Vec<Uuid> = children.iter().copied().collect();
    let locked = if by == By::Settler {
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
