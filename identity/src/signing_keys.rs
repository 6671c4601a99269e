//! The keys that access tokens are signed with: Ed25519, each for 30 days.
//!
//! One signs, and the next one is made a day before it takes over, so that every process has read
//! it by then. A key that signs no longer verifies until the last token that it may have signed has
//! ended. The private half is sealed with the secret key of the database, and is deleted once it is
//! not needed any more.
//!
//! The functions that change something take the caller's transaction and hold a lock to its end, so
//! that two processes that do the same at once make one key.

pub mod key_set;
mod pair;
mod rows;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;

use self::pair::Pair;
use self::rows::Row;
use crate::audit::Actor;
use crate::secret_keys::{KeyName, SealingError, SecretKeys};

pub use self::key_set::KeySet;
pub use self::pair::{jwk, thumbprint};

/// How long a key signs.
pub const SIGNS: TimeDelta = TimeDelta::days(30);

/// How long before a key signs it is made.
pub const MADE_BEFORE: TimeDelta = TimeDelta::hours(24);

/// The longest that an access token is good for.
pub const LONGEST_TOKEN: TimeDelta = TimeDelta::minutes(60);

/// What the clocks of the machines that verify tokens may be off by.
pub const LEEWAY: TimeDelta = TimeDelta::seconds(30);

/// How long a key verifies after it has stopped signing: the longest token, the leeway, and a
/// minute in which processes that have not read it yet still sign with the former key.
pub const VERIFIES_AFTER: TimeDelta = TimeDelta::seconds(60 * 60 + 30 + 60);

/// How long keys are listed after they have ended.
const LISTED_AFTER: TimeDelta = TimeDelta::days(30);

/// Why no key was made, or none taken away.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// It could not be sealed.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// The database refused.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
}

/// What there is once everything is in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ensured {
    /// The key that signs.
    pub signing: String,
    /// The one that signs after it, where there is one yet.
    pub next: Option<String>,
    /// Those of them that were made just now.
    pub made: Vec<String>,
}

/// What a key is good for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It will sign.
    Next,
    /// It signs and verifies.
    Signing,
    /// It signs no longer, and verifies.
    Verifying,
    /// It verifies no longer, as its time is over.
    Ended,
    /// It verifies no longer, as it was revoked.
    Revoked,
}

/// A line of the list of keys.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What tokens call it.
    pub kid: String,
    pub state: State,
    /// The secret key that its private half is sealed with; `None` once that is deleted.
    pub sealed_by: Option<KeyName>,
    pub not_before: DateTime<Utc>,
    pub signs_until: DateTime<Utc>,
    pub verifies_until: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// Makes what is missing: a key that signs now, and from a day before that one ends, the next.
pub async fn ensure(conn: &mut PgConnection, secrets: &SecretKeys) -> Result<Ensured, SigningKeyError> {
    let now = rows::lock(conn).await?;
    let mut made = Vec::new();
    let rows = rows::usable(conn).await?;
    let signing = rows.iter().rev().find(|row| row.signs_at(now) && row.opens(secrets));
    let (kid, signs_until) = if let Some(row) = signing {
        (row.kid.clone(), row.signs_until)
    } else {
        let (kid, is_new) = put_in_charge(conn, secrets, &rows, now).await?;
        made.extend(is_new.then(|| kid.clone()));
        (kid, now + SIGNS)
    };
    let next = rows.iter().find(|row| row.not_before > now && row.kid != kid && row.opens(secrets));
    let next = match next.map(|row| row.kid.clone()) {
        None if signs_until - now <= MADE_BEFORE => {
            let pair = Pair::generate();
            rows::insert(conn, secrets, &pair, signs_until).await?;
            made.push(pair.kid().to_owned());
            Some(pair.kid().to_owned())
        }
        next => next,
    };
    Ok(Ensured { signing: kid, next, made })
}

/// Has the next key sign from now on, or a new one where there is none yet. The former one verifies
/// until its last token has ended. Returns the key that signs.
pub async fn rotate(
    conn: &mut PgConnection,
    actor: &Actor,
    secrets: &SecretKeys,
) -> Result<String, SigningKeyError> {
    let now = rows::lock(conn).await?;
    let rows = rows::usable(conn).await?;
    let former = rows.iter().rev().find(|row| row.signs_at(now)).map(|row| row.kid.clone());
    rows::stop_signing(conn, VERIFIES_AFTER).await?;
    let (kid, _) = put_in_charge(conn, secrets, &rows, now).await?;
    let detail = json!({ "before": { "signing": former }, "after": { "signing": kid } });
    actor.note(conn, "signing_key.rotate", &kid, None, &detail).await?;
    Ok(kid)
}

/// Has the tokens of a key refused from now on. Where it is the one that signs, another takes over.
/// Returns the key that signs then; `None` where no key of that name is good.
pub async fn revoke(
    conn: &mut PgConnection,
    actor: &Actor,
    secrets: &SecretKeys,
    kid: &str,
) -> Result<Option<String>, SigningKeyError> {
    rows::lock(conn).await?;
    let Some(before) = state_of(conn, kid).await? else { return Ok(None) };
    if !rows::revoke(conn, kid).await? {
        return Ok(None);
    }
    let signing = ensure(conn, secrets).await?.signing;
    let detail =
        json!({ "before": { "state": before }, "after": { "state": "revoked", "signing": signing } });
    actor.note(conn, "signing_key.revoke", kid, None, &detail).await?;
    Ok(Some(signing))
}

/// What became of keys that are not needed any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tidied {
    /// Keys whose private half was deleted, as they sign no longer.
    pub emptied: u64,
    /// Keys that were deleted, a month after their end.
    pub deleted: u64,
}

/// Deletes private halves that nothing signs with any more, and keys that ended long ago.
pub async fn tidy(conn: &mut PgConnection) -> sqlx::Result<Tidied> {
    rows::lock(conn).await?;
    let emptied = rows::empty(conn).await?;
    Ok(Tidied { emptied, deleted: rows::delete(conn, LISTED_AFTER).await? })
}

/// Whether [`ensure`] or [`tidy`] have anything to do. Where there is no key at all, they have not:
/// the first one is made with the first token, so that a database without tokens has nothing
/// sealed.
pub async fn is_upkeep_due(conn: &mut PgConnection) -> sqlx::Result<bool> {
    rows::is_upkeep_due(conn, MADE_BEFORE, LISTED_AFTER).await
}

/// All keys, the newest first.
pub async fn list(conn: &mut PgConnection) -> sqlx::Result<Vec<Listed>> {
    rows::list(conn).await
}

/// The names of the secret keys that private halves are sealed with.
pub async fn sealed_with(conn: &mut PgConnection) -> sqlx::Result<Vec<KeyName>> {
    rows::sealed_with(conn).await
}

/// Seals anew, with the present secret key, what another one has sealed: a batch, in the caller's
/// transaction. Returns how many it sealed; with none, it is done.
///
/// # Errors
/// When neither of the secret keys opens one of them.
pub async fn reseal(conn: &mut PgConnection, secrets: &SecretKeys) -> Result<u64, SigningKeyError> {
    rows::lock(conn).await?;
    let mut sealed_anew = 0;
    for (kid, sealed) in rows::to_reseal(conn, &secrets.header()).await? {
        let place = place(&kid);
        let sealed = secrets.seal(&place, &secrets.open(&place, &sealed)?)?;
        sealed_anew += rows::replace(conn, &kid, &sealed).await?;
    }
    Ok(sealed_anew)
}

/// Where the private half of a key is kept.
fn place(kid: &str) -> String {
    format!("identity.signing_keys/{kid}")
}

/// Has a key sign from `now` on: the next one where there is one that opens, else a new one.
/// Returns it and whether it is new.
async fn put_in_charge(
    conn: &mut PgConnection,
    secrets: &SecretKeys,
    rows: &[Row],
    now: DateTime<Utc>,
) -> Result<(String, bool), SigningKeyError> {
    // Another process may have made it a moment ago, in a transaction that began after this one:
    // then it begins later than now, too.
    let next = rows.iter().find(|row| row.not_before > now && row.opens(secrets));
    if let Some(next) = next {
        rows::begin(conn, &next.kid, now).await?;
        return Ok((next.kid.clone(), false));
    }
    let pair = Pair::generate();
    rows::insert(conn, secrets, &pair, now).await?;
    Ok((pair.kid().to_owned(), true))
}

async fn state_of(conn: &mut PgConnection, kid: &str) -> sqlx::Result<Option<Value>> {
    let all = rows::list(conn).await?;
    let found = all.into_iter().find(|key| key.kid == kid);
    Ok(found.map(|key| json!(key.state.as_str())))
}

impl State {
    /// As lists name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Signing => "signing",
            Self::Verifying => "verifying",
            Self::Ended => "ended",
            Self::Revoked => "revoked",
        }
    }
}
