//! `keys`: API keys of tenants.

use anyhow::bail;
use chrono::{DateTime, Utc};
use rand::Rng;
use serde_json::json;
use sqlx::PgPool;

use super::session::Session;
use super::{instant, table, tenant};
use crate::audit::{Actor, Change, Subject};
use crate::cli::{Expiry, Keys};
use crate::database::Database;
use crate::http::keys;
use crate::output::say;
use crate::random;

pub(super) async fn run(command: Keys, session: &Session) -> anyhow::Result<()> {
    let act = async |database: &Database| match command {
        Keys::Create { tenant, name, expiry } => create(&database.pool, &tenant, &name, &expiry).await,
        Keys::List { tenant } => list(&database.pool, tenant.as_deref()).await,
        Keys::Revoke { key } => revoke(&database.pool, &key).await,
    };
    session.with_database("keys", act).await
}

async fn create(pool: &PgPool, name_or_id: &str, name: &str, expiry: &Expiry) -> anyhow::Result<()> {
    let tenant = tenant(pool, name_or_id).await?;
    let mut bytes = [0; 32];
    random::generator().fill_bytes(&mut bytes);
    let mut tx = pool.begin().await?;
    let now = sqlx::query_scalar!(r#"select queue.now() as "now!""#).fetch_one(&mut *tx).await?;
    let expires_at = expiry.expires.or_else(|| expiry.expires_in.map(|life| now + life));
    if let Some(end) = expires_at.filter(|end| *end <= now) {
        bail!("--expires {} is in the past: such a key would never be good", instant(end));
    }
    let key = keys::create_until(&mut tx, tenant.id, name, bytes, expires_at).await?;
    let made = json!({ "tenant": tenant.slug, "name": name, "is_active": true, "expires_at": expires_at });
    let detail = json!({ "before": null, "after": made });
    Actor::cli().note(&mut tx, "key.create", visible(&key), Some(tenant.id), &detail).await?;
    tx.commit().await?;
    say!("{key}")
}

async fn list(pool: &PgPool, name_or_id: Option<&str>) -> anyhow::Result<()> {
    let tenant = match name_or_id {
        Some(name_or_id) => Some(tenant(pool, name_or_id).await?.id),
        None => None,
    };
    let mut table = table(&["TENANT", "KEY", "NAME", "STATE", "CREATED", "EXPIRES", "LAST USED"]);
    let or_never = |at: Option<DateTime<Utc>>| at.map_or_else(|| "never".to_owned(), instant);
    for key in keys::list(&mut *pool.acquire().await?, tenant).await? {
        let state = key.refused.unwrap_or_else(|| "good".to_owned());
        let (expires, used) = (or_never(key.expires_at), or_never(key.last_used_at));
        table.add_row([key.tenant, key.prefix, key.name, state, instant(key.created_at), expires, used]);
    }
    say!("{table}")
}

async fn revoke(pool: &PgPool, key: &str) -> anyhow::Result<()> {
    let prefix = visible(key);
    let mut tx = pool.begin().await?;
    let change = Change::begin(&mut tx, Subject::Key(prefix)).await?;
    if !keys::revoke(&mut tx, prefix).await? {
        bail!("no live key begins with {prefix:?}; `weirgate keys list` shows them");
    }
    change.note(&mut tx, &Actor::cli(), "key.revoke", &["tenant", "name"]).await?;
    tx.commit().await?;
    say!("{prefix} is refused from now on")
}

/// The prefix of a whole key; a prefix as it is.
fn visible(key: &str) -> &str {
    key.rsplit_once('_').filter(|(prefix, _)| prefix.len() > 2).map_or(key, |(prefix, _)| prefix)
}
