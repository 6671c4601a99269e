//! The walk: which jobs come next, read along the index that fits the filter.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{BulkAction, Cursor, WIDEST};
use crate::error::Result;
use crate::job::state::JobState;
use crate::read::{JobFilter, like_pattern};

/// A stretch of the walk. The jobs are not locked.
pub(super) struct Stretch {
    pub(super) ids: Vec<Uuid>,
    pub(super) seqs: Vec<i64>,
    /// All that match in the stretch; `ids` has the first of them.
    pub(super) matched: i64,
    /// Rows of the stretch.
    pub(super) seen: i64,
    /// `seq` of its last row.
    pub(super) last: Option<i64>,
}

impl Stretch {
    /// Where the walk goes on after its first `batch` matches; `None` at the end.
    pub(super) fn next(&self, cursor: Cursor, batch: i64) -> Option<Cursor> {
        if self.matched > batch {
            return self.seqs.last().map(|after| Cursor { after: *after, window: batch });
        }
        let wider = if self.matched * 2 > cursor.window { cursor.window } else { cursor.window * 2 };
        self.last
            .filter(|_| self.seen == cursor.window)
            .map(|after| Cursor { after, window: wider.min(WIDEST) })
    }
}

pub(super) async fn read(
    conn: &mut PgConnection,
    action: BulkAction,
    filter: &JobFilter,
    bound: i64,
    cursor: Cursor,
    batch: i64,
) -> Result<Stretch> {
    let states = action.states(filter);
    let names: Vec<String> = states.iter().map(ToString::to_string).collect();
    let (args, values) = filter.args();
    let stretch = sqlx::query_file_as!(
        Stretch,
        "src/bulk/window.sql",
        path(filter, &states),
        cursor.after,
        bound,
        cursor.window,
        batch,
        &names,
        filter.kind,
        filter.queue,
        filter.tenant,
        filter.workflow,
        filter.backfill,
        filter.created_after,
        filter.created_before,
        filter.text.as_deref().map(like_pattern),
        filter.ids.as_deref(),
        filter.failure,
        args.as_deref(),
        values.as_deref(),
        &filter.text_tenants,
        filter.subject,
    )
    .fetch_one(conn)
    .await?;
    Ok(stretch)
}

/// Which index the walk follows: the one with the fewest jobs beside those that match.
fn path(filter: &JobFilter, states: &[JobState]) -> &'static str {
    if filter.ids.is_some() {
        "ids"
    } else if filter.workflow.is_some() {
        "workflow"
    } else if filter.backfill.is_some() {
        "backfill"
    } else if filter.failure.is_some() {
        "failure"
    } else if states.iter().all(|state| BulkAction::Retry.applies_to(*state)) {
        if filter.tenant.is_some() && filter.subject.is_some() { "failing_subject" } else { "failed" }
    } else if filter.tenant.is_some() {
        "tenant"
    } else {
        "all"
    }
}
