//! Outputs as they are stored, however large.

use std::fmt;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::error::Result;

/// The JSON text of an output, in the one buffer that it came from the database in.
pub struct OutputText(PgRow);

impl fmt::Debug for OutputText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputText").field("bytes", &self.as_ref().len()).finish()
    }
}

impl AsRef<[u8]> for OutputText {
    fn as_ref(&self) -> &[u8] {
        self.0.try_get_raw(0).ok().and_then(|value| value.as_bytes().ok()).unwrap_or(b"null")
    }
}

/// The output of a job that ended at `finalized_at`, or has not; none where the job is not that far any more, or is gone.
pub async fn output(
    conn: &mut PgConnection,
    id: Uuid,
    finalized_at: Option<DateTime<Utc>>,
) -> Result<Option<OutputText>> {
    // Not through a macro: it would give a text of its own, a copy of what may be a hundred megabytes.
    let row = sqlx::query(
        "select output::text from queue.jobs
         where id = $1 and finalized_at is not distinct from $2 and output is not null",
    )
    .bind(id)
    .bind(finalized_at)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(OutputText))
}
