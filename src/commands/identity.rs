//! `identity`: the keys that sign access tokens, and what seals them.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use serde_json::json;
use sqlx::PgPool;
use weirgate_identity::SecretKeys;
use weirgate_identity::audit::Actor;
use weirgate_identity::signing_keys;

use super::session::Session;
use super::table::{instant, say_table, table};
use crate::cli::{Identity, SigningKeys};
use crate::home::secret_key;
use crate::output::say;
use crate::sealed::{self, Place};

pub(super) async fn run(command: Identity, session: &Session) -> anyhow::Result<()> {
    session
        .with_database("identity", async |database| {
            let pool = &database.pool;
            match command {
                Identity::Keys(SigningKeys::List) => list(pool).await,
                Identity::Keys(SigningKeys::Rotate) => rotate(pool, &keys(session)?).await,
                Identity::Keys(SigningKeys::Revoke { key }) => revoke(pool, &keys(session)?, &key).await,
                Identity::Reseal => reseal(session, pool, &keys(session)?).await,
            }
        })
        .await
}

/// What this seals with.
fn keys(session: &Session) -> anyhow::Result<SecretKeys> {
    let found = secret_key::find(&session.config)?;
    found.with_context(|| {
        let home = secret_key::place(&session.config)
            .map_or_else(String::new, |file| format!(", nor is there a key in {}", file.display()));
        format!(
            "WEIRGATE_SECRET_KEY is not set{home}; set the one that the servers of this database have, or for the first of \
             them the output of: openssl rand -hex 32"
        )
    })
}

async fn list(pool: &PgPool) -> anyhow::Result<()> {
    let mut table = table(&["KEY", "STATE", "SIGNS FROM", "SIGNS UNTIL", "VERIFIES UNTIL", "SEALED WITH"]);
    for key in signing_keys::list(&mut *pool.acquire().await?).await? {
        let verifies_until =
            key.revoked_at.map_or(key.verifies_until, |revoked| revoked.min(key.verifies_until));
        table.add_row([
            key.kid.as_str(),
            key.state.as_str(),
            &instant(key.not_before),
            &instant(key.signs_until),
            &instant(verifies_until),
            &key.sealed_by.map_or_else(|| "-".to_owned(), |name| name.to_string()),
        ]);
    }
    say_table(&table, "there are no signing keys yet: the first one is made with the first access token")
}

async fn rotate(pool: &PgPool, keys: &SecretKeys) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    let kid = signing_keys::rotate(&mut tx, &Actor::cli(), keys).await?;
    tx.commit().await?;
    say!(
        "{kid} signs from now on; tokens of the former key are good until they end, which is an hour at most"
    )
}

async fn revoke(pool: &PgPool, keys: &SecretKeys, kid: &str) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    let Some(signing) = signing_keys::revoke(&mut tx, &Actor::cli(), keys, kid).await? else {
        bail!("no key that is good is called {kid:?}; `weirgate identity keys list` shows them");
    };
    tx.commit().await?;
    say!("{kid} is revoked: within 10 s no server takes a token of it; {signing} signs")
}

async fn reseal(session: &Session, pool: &PgPool, keys: &SecretKeys) -> anyhow::Result<()> {
    let mut conn = pool.acquire().await?;
    sealed::require_keys(&mut conn, &session.config, Some(keys)).await?;
    let (now, before) = (keys.current(), names(&mut conn).await?);
    // First, as it may be stopped on its way.
    let detail =
        json!({ "before": { "sealed_with": before }, "after": { "sealed_with": [now.to_string()] } });
    Actor::cli().note(&mut conn, "secrets.reseal", &now.to_string(), None, &detail).await?;
    drop(conn);
    for place in Place::ALL {
        let mut count = 0;
        loop {
            let sealed_anew = place.reseal(pool, keys).await?;
            count += sealed_anew;
            if sealed_anew == 0 {
                break;
            }
        }
        say!("{}: {count} sealed anew", place.what())?;
    }
    let after = names(&mut *pool.acquire().await?).await?;
    if after.iter().any(|name| *name != now.to_string()) {
        bail!(
            "meanwhile somebody has sealed with the old key: on some host it is still WEIRGATE_SECRET_KEY. Set the new one \
             on every host, and run this again"
        );
    }
    say!(
        "everything is sealed with the key {now}: once every host has it as its WEIRGATE_SECRET_KEY, WEIRGATE_SECRET_KEY_OLD \
         can go"
    )
}

/// Of the keys that anything is sealed with.
async fn names(conn: &mut sqlx::PgConnection) -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for place in Place::ALL {
        names.extend(place.sealed_with(conn).await?.into_iter().map(|name| name.to_string()));
    }
    Ok(names)
}
