//! Scans for the next jobs that match, along the index that fits the filter.

use sqlx::PgConnection;
use uuid::Uuid;

use super::action::BulkAction;
use super::cursor::{Cursor, MAX_ROWS};
use crate::error::Result;
use crate::job::state::JobState;
use crate::read::{JobFilter, like_pattern};

/// The rows that one step scanned, and the jobs among them that match. The jobs are not locked.
pub(super) struct Scanned {
    pub(super) ids: Vec<Uuid>,
    pub(super) seqs: Vec<i64>,
    /// How many of the rows match; `ids` has the first of them.
    pub(super) matched: i64,
    /// How many rows were scanned.
    pub(super) seen: i64,
    /// The `seq` of the last row.
    pub(super) last: Option<i64>,
}

impl Scanned {
    /// Where the next scan begins, after the first `limit` matches; `None` at the end.
    pub(super) fn next(&self, cursor: Cursor, limit: i64) -> Option<Cursor> {
        if self.matched > limit {
            return self.seqs.last().map(|after| Cursor { after: *after, window: limit });
        }
        let wider = if self.matched * 2 > cursor.window { cursor.window } else { cursor.window * 2 };
        self.last
            .filter(|_| self.seen == cursor.window)
            .map(|after| Cursor { after, window: wider.min(MAX_ROWS) })
    }
}

/// Scans the next rows after `cursor` with a `seq` below `bound`, and returns the first `limit`
/// that match.
pub(super) async fn scan(
    conn: &mut PgConnection,
    action: BulkAction,
    filter: &JobFilter,
    bound: i64,
    cursor: Cursor,
    limit: i64,
) -> Result<Scanned> {
    let states = action.states(filter);
    let names: Vec<String> = states.iter().map(ToString::to_string).collect();
    let (args, values) = filter.args();
    let scanned = sqlx::query_file_as!(
        Scanned,
        "src/control/bulk/scan.sql",
        index(filter, &states),
        cursor.after,
        bound,
        cursor.window,
        limit,
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
    Ok(scanned)
}

/// The name in `scan.sql` of the index that the scan reads: the one with the fewest jobs beside
/// those that match.
fn index(filter: &JobFilter, states: &[JobState]) -> &'static str {
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
