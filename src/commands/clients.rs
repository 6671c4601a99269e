//! `clients`: browser apps that people sign in to.

use anyhow::{anyhow, bail};
use serde_json::json;
use sqlx::PgPool;
use weirgate_identity::audit::{Actor, Change, Subject};
use weirgate_identity::clients::{self, Client, ClientsError, New};

use super::session::Session;
use super::table::{instant, say_table, table};
use crate::cli::{Clients, NewClient};
use crate::output::say;

pub(super) async fn run(command: Clients, session: &Session) -> anyhow::Result<()> {
    session
        .with_database("clients", async |database| {
            let pool = &database.pool;
            match command {
                Clients::List { json } => list(pool, json).await,
                Clients::Create(new) => create(pool, new).await,
                Clients::Disable { client_id } => set_disabled(pool, &client_id, true).await,
                Clients::Enable { client_id } => set_disabled(pool, &client_id, false).await,
            }
        })
        .await
}

async fn list(pool: &PgPool, as_json: bool) -> anyhow::Result<()> {
    let all = clients::list(&mut *pool.acquire().await?).await?;
    if as_json {
        for Client { client_id, name, redirect_uris, origins, created_at, disabled_at } in all {
            say!(
                "{}",
                json!({ "client_id": client_id, "name": name, "redirect_uris": redirect_uris,
                    "origins": origins, "created_at": created_at, "disabled_at": disabled_at })
            )?;
        }
        return Ok(());
    }
    let mut table = table(&["CLIENT ID", "NAME", "STATE", "CREATED", "REDIRECT URIS", "ORIGINS"]);
    for client in all {
        let state = if client.disabled_at.is_some() { "disabled" } else { "active" };
        table.add_row([
            client.client_id,
            client.name,
            state.to_owned(),
            instant(client.created_at),
            client.redirect_uris.join(" "),
            client.origins.join(" "),
        ]);
    }
    say_table(&table, "there are no apps yet")
}

async fn create(pool: &PgPool, new: NewClient) -> anyhow::Result<()> {
    let NewClient { client_id, name, redirect_uri, origin } = new;
    let mut tx = pool.begin().await?;
    let noted = Change::begin(&mut tx, Subject::Client(&client_id)).await?;
    let new = New { client_id: &client_id, name: &name, redirect_uris: &redirect_uri, origins: &origin };
    clients::create(&mut tx, new).await.map_err(told)?;
    noted.note(&mut tx, &Actor::cli(), "client.create", &[]).await?;
    tx.commit().await?;
    say!("{client_id}\tpeople can sign in to it")
}

/// With the options of the command line.
fn told(error: ClientsError) -> anyhow::Error {
    match error.field() {
        Some("name") => anyhow!("--name: {error}"),
        Some("redirect_uris") => anyhow!("--redirect-uri: {error}"),
        Some("origins") => anyhow!("--origin: {error}"),
        _ => error.into(),
    }
}

async fn set_disabled(pool: &PgPool, client_id: &str, disabled: bool) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    let noted = Change::begin(&mut tx, Subject::Client(client_id)).await?;
    if noted.before().is_none() {
        bail!("there is no app {client_id:?}; `weirgate clients list` shows those that there are");
    }
    clients::set_disabled(&mut tx, client_id, disabled).await?;
    let action = if disabled { "client.disable" } else { "client.enable" };
    noted.note(&mut tx, &Actor::cli(), action, &["disabled"]).await?;
    tx.commit().await?;
    let said = if disabled { "is disabled: nobody can sign in to it" } else { "can be signed in to again" };
    say!("{client_id} {said}")
}
