//! Private arguments in the database. A trigger deletes them.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::enqueue::NewJob;
use crate::error::Result;

/// What is stored of a job's private argument.
pub(crate) enum Stored {
    /// The sealed value.
    Sealed(Vec<u8>),
    /// The job was enqueued without one.
    None,
    /// It was deleted, with the end of the job or with the job.
    Deleted,
}

/// Stores the private arguments of `jobs`, which this transaction has inserted.
pub(crate) async fn store<'a>(conn: &mut PgConnection, jobs: impl Iterator<Item = &'a NewJob>) -> Result<()> {
    let sealed = jobs.filter_map(|job| Some((job.id, job.private.as_ref()?.bytes())));
    let (ids, sealed): (Vec<Uuid>, Vec<&[u8]>) = sealed.unzip();
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into queue.private_args (seq, sealed)
         select j.seq, p.sealed from unnest($1::uuid[], $2::bytea[]) as p (id, sealed) join queue.jobs j using (id)",
        &ids,
        &sealed as &[&[u8]]
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The private argument of the job with this sequence number.
pub(crate) async fn read(pool: &PgPool, seq: i64) -> Result<Stored> {
    let row = sqlx::query!(
        r#"select j.has_private, p.sealed as "sealed?"
           from queue.jobs j left join queue.private_args p using (seq) where j.seq = $1"#,
        seq
    )
    .fetch_optional(pool)
    .await?;
    Ok(match row.map(|row| (row.has_private, row.sealed)) {
        Some((_, Some(sealed))) => Stored::Sealed(sealed),
        Some((false, None)) => Stored::None,
        Some((true, None)) | None => Stored::Deleted,
    })
}

/// Whether the private argument of a job is there, which the caller has locked and which was
/// enqueued with one. This is a statement of its own, so that it sees what was committed before the
/// lock.
pub(crate) async fn is_there(conn: &mut PgConnection, job: Uuid) -> Result<bool> {
    let there = sqlx::query_scalar!(
        r#"select exists (
            select from queue.private_args where seq = (select seq from queue.jobs where id = $1)) as "there!""#,
        job
    )
    .fetch_one(conn)
    .await?;
    Ok(there)
}

/// Whether any private argument is stored, so that a program needs its key.
///
/// # Errors
/// [`QueueError::Database`](crate::QueueError::Database).
pub async fn any(conn: &mut PgConnection) -> Result<bool> {
    let any = sqlx::query_scalar!(r#"select exists (select from queue.private_args) as "any!""#)
        .fetch_one(conn)
        .await?;
    Ok(any)
}

/// The different beginnings, of so many bytes, of all that is stored: what tells the keys, where a
/// [`Sealing`](super::Sealing) names its key there. Reads all of it.
///
/// # Errors
/// [`QueueError::Database`](crate::QueueError::Database).
pub async fn beginnings(conn: &mut PgConnection, bytes: i32) -> Result<Vec<Vec<u8>>> {
    let found = sqlx::query_scalar!(
        r#"select distinct substring(sealed for $1) as "beginning!" from queue.private_args"#,
        bytes
    )
    .fetch_all(conn)
    .await?;
    Ok(found)
}
