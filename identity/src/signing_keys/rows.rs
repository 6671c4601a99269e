//! The SQL of signing keys.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::pair::Pair;
use super::{Listed, SIGNS, SigningKeyError, State, VERIFIES_AFTER, place};
use crate::secret_keys::{KeyName, SecretKeys, sealed_by};

/// Private halves that are sealed anew in one transaction.
const BATCH: i64 = 100;

/// A key that signs or will.
pub(super) struct Row {
    pub(super) kid: String,
    private_sealed: Vec<u8>,
    pub(super) not_before: DateTime<Utc>,
    pub(super) signs_until: DateTime<Utc>,
}

impl Row {
    pub(super) fn signs_at(&self, now: DateTime<Utc>) -> bool {
        self.not_before <= now && now < self.signs_until
    }

    pub(super) fn opens(&self, secrets: &SecretKeys) -> bool {
        secrets.open(&place(&self.kid), &self.private_sealed).is_ok()
    }
}

/// Keeps others from changing keys until the transaction ends. Returns the time.
pub(super) async fn lock(conn: &mut PgConnection) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query!(
        r#"select pg_advisory_xact_lock(hashtextextended('weirgate signing keys', 0)) as "locked: ()""#
    )
    .fetch_one(&mut *conn)
    .await?;
    sqlx::query_scalar!(r#"select queue.now() as "now!""#).fetch_one(conn).await
}

/// The keys that sign or will, in the order in which they begin.
pub(super) async fn usable(conn: &mut PgConnection) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as!(
        Row,
        r#"select kid, private_sealed as "private_sealed!", not_before, signs_until
         from identity.signing_keys
         where revoked_at is null and private_sealed is not null and signs_until > queue.now()
         order by not_before, kid"#
    )
    .fetch_all(conn)
    .await
}

/// Stores a key that signs from `begin` on.
pub(super) async fn insert(
    conn: &mut PgConnection,
    secrets: &SecretKeys,
    pair: &Pair,
    begin: DateTime<Utc>,
) -> Result<(), SigningKeyError> {
    let sealed = secrets.seal(&place(pair.kid()), pair.private())?;
    sqlx::query!(
        "insert into identity.signing_keys (kid, public_jwk, private_sealed, not_before, signs_until, verifies_until)
         values ($1, $2, $3, $4, $5, $6)",
        pair.kid(),
        pair.jwk(),
        sealed,
        begin,
        begin + SIGNS,
        begin + SIGNS + VERIFIES_AFTER
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Has a key that was to sign later sign from `now` on, for as long as others.
pub(super) async fn begin(conn: &mut PgConnection, kid: &str, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "update identity.signing_keys set not_before = $2, signs_until = $3, verifies_until = $4 where kid = $1",
        kid,
        now,
        now + SIGNS,
        now + SIGNS + VERIFIES_AFTER
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends the signing of all keys that sign now.
pub(super) async fn stop_signing(conn: &mut PgConnection, verifies_after: TimeDelta) -> sqlx::Result<()> {
    sqlx::query!(
        "update identity.signing_keys
         set signs_until = queue.now(), verifies_until = queue.now() + make_interval(secs => $1)
         where revoked_at is null and not_before <= queue.now() and signs_until > queue.now()",
        verifies_after.as_seconds_f64()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// False where there is no such key, or its tokens are refused anyway.
pub(super) async fn revoke(conn: &mut PgConnection, kid: &str) -> sqlx::Result<bool> {
    let revoked = sqlx::query!(
        "update identity.signing_keys set revoked_at = queue.now(), private_sealed = null
         where kid = $1 and revoked_at is null and verifies_until > queue.now()",
        kid
    )
    .execute(conn)
    .await?;
    Ok(revoked.rows_affected() > 0)
}

/// Deletes the private halves of keys that stopped signing a minute ago or more.
pub(super) async fn empty(conn: &mut PgConnection) -> sqlx::Result<u64> {
    let emptied = sqlx::query!(
        "update identity.signing_keys set private_sealed = null
         where private_sealed is not null and signs_until <= queue.now() - interval '1 minute'"
    )
    .execute(conn)
    .await?;
    Ok(emptied.rows_affected())
}

/// Deletes keys that verified for the last time this long ago.
pub(super) async fn delete(conn: &mut PgConnection, ago: TimeDelta) -> sqlx::Result<u64> {
    let deleted = sqlx::query!(
        "delete from identity.signing_keys where verifies_until <= queue.now() - make_interval(secs => $1)",
        ago.as_seconds_f64()
    )
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected())
}

/// Whether a key ends within `before` and nothing follows it yet, there are private halves to
/// delete, or keys that ended `ago`.
pub(super) async fn is_upkeep_due(
    conn: &mut PgConnection,
    before: TimeDelta,
    ago: TimeDelta,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select coalesce(max(signs_until) filter (where revoked_at is null)
                <= queue.now() + make_interval(secs => $1)
                and bool_or(verifies_until > queue.now()), false)
             or coalesce(bool_or(private_sealed is not null
                and signs_until <= queue.now() - interval '1 minute'), false)
             or coalesce(min(verifies_until) <= queue.now() - make_interval(secs => $2), false) as "due!"
         from identity.signing_keys"#,
        before.as_seconds_f64(),
        ago.as_seconds_f64()
    )
    .fetch_one(conn)
    .await
}

pub(super) async fn list(conn: &mut PgConnection) -> sqlx::Result<Vec<Listed>> {
    let rows = sqlx::query!(
        r#"select kid, private_sealed, not_before, signs_until, verifies_until, revoked_at, created_at,
             queue.now() as "now!"
         from identity.signing_keys order by not_before desc, kid"#
    )
    .fetch_all(conn)
    .await?;
    let listed = rows.into_iter().map(|row| {
        let state = match row.now {
            _ if row.revoked_at.is_some() => State::Revoked,
            now if now >= row.verifies_until => State::Ended,
            now if now >= row.signs_until => State::Verifying,
            now if now >= row.not_before => State::Signing,
            _ => State::Next,
        };
        Listed {
            kid: row.kid,
            state,
            sealed_by: row.private_sealed.as_deref().and_then(sealed_by),
            not_before: row.not_before,
            signs_until: row.signs_until,
            verifies_until: row.verifies_until,
            revoked_at: row.revoked_at,
            created_at: row.created_at,
        }
    });
    Ok(listed.collect())
}

pub(super) async fn sealed_with(conn: &mut PgConnection) -> sqlx::Result<Vec<KeyName>> {
    // The first byte is the version.
    let names = sqlx::query_scalar!(
        r#"select distinct substring(private_sealed from 1 for 7) as "header!"
         from identity.signing_keys where private_sealed is not null order by 1"#
    )
    .fetch_all(conn)
    .await?;
    Ok(names.iter().filter_map(|header| sealed_by(header)).collect())
}

/// Those that another secret key has sealed, at most a batch of them.
pub(super) async fn to_reseal(
    conn: &mut PgConnection,
    header: &[u8],
) -> sqlx::Result<Vec<(String, Vec<u8>)>> {
    let rows = sqlx::query!(
        r#"select kid, private_sealed as "private_sealed!" from identity.signing_keys
         where private_sealed is not null and substring(private_sealed from 1 for 7) <> $1
         order by kid limit $2"#,
        header,
        BATCH
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.kid, row.private_sealed)).collect())
}

pub(super) async fn replace(conn: &mut PgConnection, kid: &str, sealed: &[u8]) -> sqlx::Result<u64> {
    let replaced =
        sqlx::query!("update identity.signing_keys set private_sealed = $2 where kid = $1", kid, sealed)
            .execute(conn)
            .await?;
    Ok(replaced.rows_affected())
}
