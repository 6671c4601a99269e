//! What the edges of children say about their parents, and the state that follows from it.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;
use uuid::Uuid;

use crate::database::column::column;
use crate::error::Result;
use crate::job::state::JobState;

/// What changed about one child's edges.
#[derive(Debug, Default)]
pub(super) struct EdgeChanges {
    /// Change of the number of edges that are pending.
    pub(super) pending: i32,
    /// Change of the number of edges that are failed.
    failed: i32,
    /// A parent that has failed.
    failed_parent: Option<Uuid>,
}

impl EdgeChanges {
    /// Counts that the edge from `parent` changed its outcome.
    pub(super) fn add(&mut self, parent: Uuid, was: &str, now: &str) {
        self.pending += i32::from(now == "pending") - i32::from(was == "pending");
        self.failed += i32::from(now == "failed") - i32::from(was == "failed");
        if now == "failed" {
            self.failed_parent = Some(parent);
        }
    }
}

/// Writes on these edges, whose children the transaction has locked, what their parents are now.
/// Returns the changes by child.
pub(super) async fn update_edges(
    conn: &mut PgConnection,
    parents: &[Uuid],
    children: &[Uuid],
) -> Result<BTreeMap<Uuid, EdgeChanges>> {
    let mut changes: BTreeMap<Uuid, EdgeChanges> = BTreeMap::new();
    if children.is_empty() {
        return Ok(changes);
    }
    let rows = sqlx::query_file!("src/workflow/update_edges.sql", parents, children).fetch_all(conn).await?;
    for row in rows {
        changes.entry(row.child_id).or_default().add(row.parent_id, &row.was, &row.now);
    }
    Ok(changes)
}

/// The children whose state changed.
#[derive(Debug, Default)]
pub(super) struct ChangedChildren {
    /// Children that were cancelled or retried, which has to be propagated to their own children.
    pub(super) ended_or_retried: Vec<Uuid>,
    /// The queues of children that became available.
    pub(super) available_in: BTreeSet<String>,
}

/// Changes counts and states of children that the transaction has locked or just inserted.
pub(super) async fn update_children(
    conn: &mut PgConnection,
    changes: &BTreeMap<Uuid, EdgeChanges>,
) -> Result<ChangedChildren> {
    let mut updated = ChangedChildren::default();
    if changes.is_empty() {
        return Ok(updated);
    }
    let rows = sqlx::query_file!(
        "src/workflow/update_children.sql",
        &changes.keys().copied().collect::<Vec<_>>(),
        &column(changes.values(), |change| change.pending),
        &column(changes.values(), |change| change.failed),
        &column(changes.values(), |change| change.failed_parent) as &[Option<Uuid>],
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let (was, now) = (row.was, row.now);
        if was.is_final() != now.is_final() {
            updated.ended_or_retried.push(row.id);
        }
        if now == JobState::Available && was != now {
            updated.available_in.insert(row.queue);
        }
    }
    Ok(updated)
}
