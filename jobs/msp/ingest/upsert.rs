//! What a row needs to be stored: its key, and the statements of its table.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::turn::IngestTurn;
use crate::sources::rows::Row;

/// A row with a table of its own.
pub(crate) trait Upsert: Row + Sync {
    /// What identifies the row within its tenant.
    fn key(&self) -> (&str, &str);

    /// When it last changed in the source, where that says so.
    fn updated_at(&self) -> Option<DateTime<Utc>>;

    /// Inserts the rows, or updates those that differ and are older. No two of them have the same
    /// key.
    fn upsert(
        conn: &mut PgConnection,
        turn: &IngestTurn,
        rows: &[Self],
    ) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Marks the rows as deleted that the reading has not seen which began in the turn `since`; how
    /// many there were.
    fn mark_unseen(
        conn: &mut PgConnection,
        turn: &IngestTurn,
        since: i64,
    ) -> impl Future<Output = sqlx::Result<u64>> + Send;
}
