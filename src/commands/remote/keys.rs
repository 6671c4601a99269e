//! `keys`, of a server.

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;
use weirgate_identity::keys::Listed;

use crate::cli::NewKey;
use crate::client::{Call, Client};
use crate::commands::keys::ScopeRow;

/// An API key.
#[derive(Deserialize)]
struct ApiKey {
    id: Uuid,
    tenant_id: Uuid,
    tenant: String,
    prefix: String,
    name: String,
    scopes: Option<Vec<String>>,
    state: String,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
}

impl From<ApiKey> for Listed {
    fn from(key: ApiKey) -> Self {
        let ApiKey { id, tenant_id, tenant, prefix, name, scopes, state, .. } = key;
        let ApiKey { created_at, expires_at, last_used_at, .. } = key;
        let refused = (state != "good").then_some(state);
        Self { id, tenant_id, tenant, prefix, name, scopes, refused, created_at, expires_at, last_used_at }
    }
}

/// A key that was made.
#[derive(Deserialize)]
struct Created {
    prefix: String,
    /// It is shown once: an answer that was lost had it.
    key: Option<String>,
}

pub(in crate::commands) async fn create(
    client: &Client,
    new: &NewKey,
    expires_at: Option<DateTime<Utc>>,
) -> Result<String> {
    let NewKey { tenant, name, scopes, expiry: _ } = new;
    let mut body = json!({ "name": name, "expires_at": expires_at });
    if !scopes.is_empty() {
        body["scopes"] = json!(scopes);
    }
    let call = Call::post(["internal", "tenants", tenant, "api-keys"]).json(body);
    let call = call.option("name", "--name").option("scopes", "--scope").option("expires_at", "--expires");
    let created: Created = client.ask(&call).await?;
    let Some(key) = created.key else {
        let prefix = created.prefix;
        bail!(
            "the key {prefix} was created, but the answer that showed it was lost; revoke it with \
             `weirgate keys revoke {prefix}`, and create another"
        );
    };
    Ok(key)
}

pub(in crate::commands) async fn list(client: &Client, tenant: Option<&str>) -> Result<Vec<Listed>> {
    let keys: Vec<ApiKey> = client.list(&keys_of(tenant), usize::MAX).await?;
    Ok(keys.into_iter().map(Listed::from).collect())
}

/// Whether there was such a key, and it is refused from now on.
pub(in crate::commands) async fn revoke(client: &Client, prefix: &str) -> Result<bool> {
    let keys: Vec<ApiKey> = client.list(&keys_of(None), usize::MAX).await?;
    let Some(key) = keys.iter().find(|key| key.prefix == prefix && key.state != "revoked") else {
        return Ok(false);
    };
    client.tell(&Call::delete(["internal", "tenants", &key.tenant, "api-keys", prefix])).await?;
    Ok(true)
}

pub(in crate::commands) async fn scopes(client: &Client) -> Result<Vec<ScopeRow>> {
    client.whole(&Call::get(["internal", "scopes"])).await
}

fn keys_of(tenant: Option<&str>) -> Call {
    match tenant {
        Some(tenant) => Call::get(["internal", "tenants", tenant, "api-keys"]),
        None => Call::get(["internal", "api-keys"]),
    }
}
