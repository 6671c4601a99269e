//! `keys`: API keys of tenants.

use anyhow::{Context, anyhow, bail};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgPool;
use uuid::Uuid;
use weirgate_identity::audit::Actor;
use weirgate_identity::keys::issuing::{self, New, Refused};
use weirgate_identity::keys::{self, Listed};
use weirgate_identity::scopes::{KeyScopes, Scope};

use super::door::Door;
use super::remote;
use super::session::Session;
use super::table::{instant, say_table, table};
use super::tenant::tenant;
use crate::cli::{Keys, NewKey};
use crate::output::say;
use crate::random;

pub(super) async fn run(command: Keys, session: &Session) -> anyhow::Result<()> {
    session.with_door("keys", async |door| act(command, door).await).await
}

async fn act(command: Keys, door: Door<'_>) -> anyhow::Result<()> {
    match command {
        Keys::Create(new) => match door {
            Door::Database(database) => create(&database.pool, database.catalog.scopes(), &new).await,
            Door::Server(client) => {
                let expires_at = match new.expiry.expires_in {
                    Some(life) => Some(client.now().await?.context(UNKNOWN_TIME)? + life),
                    None => new.expiry.expires,
                };
                say!("{}", remote::keys::create(client, &new, expires_at).await?)
            }
        },
        Keys::Scopes => print_scopes(match door {
            Door::Database(database) => database.catalog.scopes().iter().map(ScopeRow::from).collect(),
            Door::Server(client) => remote::keys::scopes(client).await?,
        }),
        Keys::List { tenant } => print_list(match door {
            Door::Database(database) => list(&database.pool, tenant.as_deref()).await?,
            Door::Server(client) => remote::keys::list(client, tenant.as_deref()).await?,
        }),
        Keys::Revoke { key } => match door {
            Door::Database(database) => revoke(&database.pool, &key).await,
            Door::Server(client) => {
                let prefix = issuing::visible(&key);
                if !remote::keys::revoke(client, prefix).await? {
                    bail!("no valid key begins with {prefix:?}; `weirgate keys list` shows them");
                }
                say!("{prefix} is revoked")
            }
        },
    }
}

const UNKNOWN_TIME: &str =
    "a proxy drops the Date header of the server; use --expires instead of --expires-in";

/// A scope that keys may have.
#[derive(Deserialize)]
pub(in crate::commands) struct ScopeRow {
    name: String,
    text: String,
    by_default: bool,
}

impl From<&Scope> for ScopeRow {
    fn from(&Scope { name, text, by_default }: &Scope) -> Self {
        Self { name: name.to_owned(), text: text.to_owned(), by_default }
    }
}

fn print_scopes(scopes: Vec<ScopeRow>) -> anyhow::Result<()> {
    let mut table = table(&["SCOPE", "DEFAULT", "ALLOWS"]);
    for ScopeRow { name, text, by_default } in scopes {
        table.add_row([name, if by_default { "yes" } else { "no" }.to_owned(), text]);
    }
    say_table(&table, "there are no scopes")
}

async fn create(pool: &PgPool, known: &[Scope], new: &NewKey) -> anyhow::Result<()> {
    let NewKey { tenant: name_or_id, name, scopes, expiry } = new;
    let scopes = if scopes.is_empty() { None } else { Some(KeyScopes::of(scopes, known)) };
    let scopes = scopes.transpose().map_err(|why| anyhow!("--scope: {why}"))?;
    let tenant = tenant(pool, name_or_id).await?;
    let bytes = random::bytes();
    let mut tx = pool.begin().await?;
    let now = issuing::now(&mut tx).await?;
    let expires_at = expiry.expires.or_else(|| expiry.expires_in.map(|life| now + life));
    let (id, slug) = (Uuid::now_v7(), &tenant.slug.0);
    let new = New { id, tenant: tenant.id, slug, name, scopes, expires_at, random: bytes };
    let key = issuing::issue(&mut tx, &Actor::cli(), new).await.map_err(|refused| match refused {
        Refused::Name(why) => anyhow!("--name: {why}"),
        Refused::Expired(_) => anyhow!("--expires {refused}"),
        Refused::Database(error) => error.into(),
    })?;
    tx.commit().await?;
    say!("{key}")
}

async fn list(pool: &PgPool, name_or_id: Option<&str>) -> anyhow::Result<Vec<Listed>> {
    let tenant = match name_or_id {
        Some(name_or_id) => Some(tenant(pool, name_or_id).await?.id),
        None => None,
    };
    Ok(keys::list(&mut *pool.acquire().await?, tenant).await?)
}

fn print_list(keys: Vec<Listed>) -> anyhow::Result<()> {
    let mut table = table(&["TENANT", "KEY", "NAME", "SCOPES", "STATE", "CREATED", "EXPIRES", "LAST USED"]);
    let or_never = |at: Option<DateTime<Utc>>| at.map_or_else(|| "never".to_owned(), instant);
    for key in keys {
        let state = match key.refused.as_deref() {
            None => "good",
            Some("tenant_inactive") => "tenant inactive",
            Some(refused) => refused,
        };
        let (expires, used) = (or_never(key.expires_at), or_never(key.last_used_at));
        table.add_row([
            key.tenant,
            key.prefix,
            key.name,
            key.scopes.map_or_else(|| "default".to_owned(), |names| names.join(", ")),
            state.to_owned(),
            instant(key.created_at),
            expires,
            used,
        ]);
    }
    say_table(&table, "no API keys match")
}

async fn revoke(pool: &PgPool, key: &str) -> anyhow::Result<()> {
    let prefix = issuing::visible(key);
    let mut tx = pool.begin().await?;
    if !issuing::withdraw(&mut tx, &Actor::cli(), None, prefix).await? {
        bail!("no valid key begins with {prefix:?}; `weirgate keys list` shows them");
    }
    tx.commit().await?;
    say!("{prefix} is revoked")
}
