//! Seals anew what an old key has sealed.

use sqlx::PgConnection;
use uuid::Uuid;

use super::Sealing;
use super::sealed::place;
use crate::error::Result;

/// What one step of [`reseal`] has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resealed {
    /// How many values it sealed anew.
    pub resealed: u64,
    /// The jobs whose value cannot be opened. They stay as they are.
    pub unreadable: Vec<Uuid>,
    /// Where the next step begins; `None` at the end.
    pub next: Option<i64>,
}

/// Seals the private arguments anew that are not of the present key, of the next `limit` jobs after
/// the one with the `seq` `after` (0 for the first). Jobs may be enqueued, run, ended and deleted
/// meanwhile.
///
/// Call it outside of a transaction: each value is written in one of its own, so that this holds no
/// lock that the end of a job would wait for.
///
/// A walk over all jobs may miss those whose enqueueing had not committed yet, and those that a
/// process with the old key enqueues later: when every process has the new key, walk until a whole
/// walk seals nothing anew.
///
/// # Errors
/// [`QueueError::Database`](crate::QueueError::Database);
/// [`QueueError::Sealing`](crate::QueueError::Sealing) when there is no key to seal with.
pub async fn reseal(
    conn: &mut PgConnection,
    sealing: &dyn Sealing,
    after: i64,
    limit: i64,
) -> Result<Resealed> {
    let rows = sqlx::query!(
        "select p.seq, j.id, p.sealed from queue.private_args p join queue.jobs j using (seq)
         where p.seq > $1 order by p.seq limit $2",
        after,
        limit
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut step = Resealed { next: rows.last().map(|row| row.seq), ..Resealed::default() };
    for row in rows.into_iter().filter(|row| !sealing.is_current(&row.sealed)) {
        let place = place(row.id);
        let Ok(plain) = sealing.open(&place, &row.sealed) else {
            step.unreadable.push(row.id);
            continue;
        };
        // A job that has ended meanwhile has none any more, which the count of rows tells.
        let written = sqlx::query!(
            "update queue.private_args set sealed = $2 where seq = $1 and sealed = $3",
            row.seq,
            sealing.seal(&place, &plain)?,
            row.sealed
        )
        .execute(&mut *conn)
        .await?;
        step.resealed += written.rows_affected();
    }
    Ok(step)
}
