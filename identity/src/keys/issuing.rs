//! API keys are given out and withdrawn. Commands, requests and `seed` all end here.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::audit::{Actor, Change, Subject};
use crate::keys;
use crate::scopes::KeyScopes;

/// Most characters of what a key is for.
const LONGEST_NAME: usize = 200;

/// A key to be given out.
#[derive(Debug)]
pub struct New<'a> {
    pub id: Uuid,
    pub tenant: Uuid,
    /// The tenant's.
    pub slug: &'a str,
    /// What the key is for.
    pub name: &'a str,
    /// What it may be used for; none: what keys could be used for before there were scopes.
    pub scopes: Option<KeyScopes>,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// What it is made of.
    pub random: [u8; 32],
}

/// Why no key was given out.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("{0}")]
    Name(String),
    #[error("{} is in the past: such a key would never be valid", .0.format("%Y-%m-%dT%H:%M:%SZ"))]
    Expired(DateTime<Utc>),
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
}

/// Stores a key, in the caller's transaction, and returns it: it cannot be read again.
pub async fn issue(conn: &mut PgConnection, actor: &Actor, new: New<'_>) -> Result<String, Refused> {
    let New { id, tenant, slug, name, scopes, expires_at, random } = new;
    let fits = !name.trim().is_empty()
        && name.chars().count() <= LONGEST_NAME
        && !name.chars().any(char::is_control);
    if !fits {
        return Err(Refused::Name(format!(
            "expected 1 to {LONGEST_NAME} characters without control characters, such as \"n8n\""
        )));
    }
    let now = now(conn).await?;
    if let Some(end) = expires_at.filter(|end| *end <= now) {
        return Err(Refused::Expired(end));
    }
    let key = keys::store(conn, id, tenant, name, random, scopes.as_ref(), expires_at).await?;
    let scopes = scopes.as_ref().map(KeyScopes::names);
    let made = json!({ "tenant": slug, "name": name, "is_active": true, "scopes": scopes, "expires_at": expires_at });
    let detail = json!({ "before": null, "after": made });
    actor.note(conn, "key.create", visible(&key), Some(tenant), &detail).await?;
    Ok(key)
}

/// Has the key of that prefix or id refused from now on, in the caller's transaction; of `tenant`
/// alone where one is named. False where there is no such key, or it was withdrawn before.
pub async fn withdraw(
    conn: &mut PgConnection,
    actor: &Actor,
    tenant: Option<Uuid>,
    prefix_or_id: &str,
) -> weirgate_queue::Result<bool> {
    let Some(prefix) = keys::live_prefix(conn, tenant, prefix_or_id).await? else { return Ok(false) };
    let noted = Change::begin(conn, Subject::Key(&prefix)).await?;
    if !keys::revoke(conn, &prefix).await? {
        return Ok(false);
    }
    noted.note(conn, actor, "key.revoke", &["tenant", "name"]).await?;
    Ok(true)
}

/// The database's time, which decides when a key ends.
pub async fn now(conn: &mut PgConnection) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"select queue.now() as "now!""#).fetch_one(conn).await
}

/// The prefix of a whole key; a prefix as it is.
pub fn visible(key: &str) -> &str {
    key.rsplit_once('_').filter(|(prefix, _)| prefix.len() > 2).map_or(key, |(prefix, _)| prefix)
}
