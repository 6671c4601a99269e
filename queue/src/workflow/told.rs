//! What children hear of their parents, and what they come to by it.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::job::state::JobState;

/// What one child hears in one step.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Change of the number of edges that are pending.
    pub(super) pending: i32,
    /// Change of the number of edges that are failed.
    failed: i32,
    /// A parent that has failed.
    culprit: Option<Uuid>,
}

impl Told {
    /// An edge from `parent` changed.
    pub(super) fn hears(&mut self, parent: Uuid, was: &str, now: &str) {
        self.pending += i32::from(now == "pending") - i32::from(was == "pending");
        self.failed += i32::from(now == "failed") - i32::from(was == "failed");
        if now == "failed" {
            self.culprit = Some(parent);
        }
    }
}

/// Writes on these edges, of children that the transaction has locked, what their parents are now.
pub(super) async fn update_edges(
    conn: &mut PgConnection,
    parents: &[Uuid],
    children: &[Uuid],
) -> Result<BTreeMap<Uuid, Told>> {
    let mut told: BTreeMap<Uuid, Told> = BTreeMap::new();
    if children.is_empty() {
        return Ok(told);
    }
    let rows = sqlx::query_file!("src/workflow/edges.sql", parents, children).fetch_all(conn).await?;
    for row in rows {
        told.entry(row.child_id).or_default().hears(row.parent_id, &row.was, &row.now);
    }
    Ok(told)
}

/// What the children came to.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// Cancelled, or alive again: their own children are to be told.
    pub(super) jobs: Vec<Uuid>,
    /// Queues of those that may start.
    pub(super) woken: BTreeSet<String>,
}

/// Changes counts and states of children that the transaction has locked or just inserted.
pub(super) async fn apply(conn: &mut PgConnection, told: &BTreeMap<Uuid, Told>) -> Result<Changed> {
    let mut changed = Changed::default();
    if told.is_empty() {
        return Ok(changed);
    }
    let rows = sqlx::query_file!(
        "src/workflow/children.sql",
        &told.keys().copied().collect::<Vec<_>>(),
        &told.values().map(|told| told.pending).collect::<Vec<_>>(),
        &told.values().map(|told| told.failed).collect::<Vec<_>>(),
        &told.values().map(|told| told.culprit).collect::<Vec<_>>() as &[Option<Uuid>],
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let was: JobState = row.was.parse().expect("the enum's names are the states'");
        let now: JobState = row.now.parse().expect("the enum's names are the states'");
        if was.is_final() != now.is_final() {
            changed.jobs.push(row.id);
        }
        if now == JobState::Available && was != now {
            changed.woken.insert(row.queue);
        }
    }
    Ok(changed)
}
