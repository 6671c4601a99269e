//! Rows that could not be taken, in `ingest_rejects`.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::turn::IngestTurn;

/// A row that could not be taken, and why.
pub(super) struct Reject {
    pub(super) origin: String,
    pub(super) line: i64,
    pub(super) reason: String,
    pub(super) content: Option<String>,
}

/// Stores the rejected rows of a batch, in the transaction that stores its good ones.
pub(super) async fn keep(
    conn: &mut PgConnection,
    turn: &IngestTurn,
    job: Uuid,
    bad: Vec<Reject>,
) -> sqlx::Result<()> {
    // A malformed file may yield two pieces on one line; the last stands for both.
    let bad: BTreeMap<_, _> =
        bad.into_iter().map(|it| ((it.origin, it.line), (it.reason, it.content))).collect();
    let (places, whats): (Vec<_>, Vec<_>) = bad.into_iter().unzip();
    let (origins, lines): (Vec<_>, Vec<_>) = places.into_iter().unzip();
    let (reasons, contents): (Vec<_>, Vec<_>) = whats.into_iter().unzip();
    sqlx::query!(
        "insert into msp.ingest_rejects (tenant_id, dataset, generation, job_id, origin, line, reason, content, rejected_at)
         select $1, $2, $3, $4, r.*, queue.now()
         from unnest($5::text[], $6::bigint[], $7::text[], $8::text[]) as r (origin, line, reason, content)
         on conflict (tenant_id, dataset, origin, line) do update
         set generation = excluded.generation, job_id = excluded.job_id, reason = excluded.reason,
             content = excluded.content, rejected_at = excluded.rejected_at",
        turn.tenant,
        turn.dataset.name(),
        turn.generation,
        job,
        &origins,
        &lines,
        &reasons,
        &contents as &[Option<String>]
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What an earlier run rejected and this one did not see again was mended or is gone.
pub(super) async fn forget_earlier(
    conn: &mut PgConnection,
    turn: &IngestTurn,
    since: i64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from msp.ingest_rejects where tenant_id = $1 and dataset = $2 and generation < $3",
        turn.tenant,
        turn.dataset.name(),
        since
    )
    .execute(conn)
    .await?;
    Ok(())
}
