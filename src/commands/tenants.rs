//! `tenants`: look at them, make and change them.

use anyhow::{anyhow, bail};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;
use weirgate_identity::audit::Actor;
use weirgate_identity::tenants::{self, Change, New, Refused, Stored};

use super::door::Door;
use super::remote;
use super::session::Session;
use super::table::{instant, say_table, table};
use super::tenant::no_tenant;
use crate::cli::{ChangedTenant, NewTenant, Tenants};
use crate::output::say;

pub(super) async fn run(command: Tenants, session: &Session) -> anyhow::Result<()> {
    session.with_door("tenants", async |door| act(command, door).await).await
}

async fn act(command: Tenants, door: Door<'_>) -> anyhow::Result<()> {
    match command {
        Tenants::List { json } => {
            let rows = match door {
                Door::Database(database) => {
                    tenants::list(&mut *database.pool.acquire().await?, None, "", i64::MAX).await?
                }
                Door::Server(client) => remote::tenants::list(client).await?,
            };
            print_list(rows, json)
        }
        Tenants::Show { tenant } => {
            let shown = match door {
                Door::Database(database) => {
                    let found = tenants::get(&mut *database.pool.acquire().await?, &tenant).await?;
                    found.ok_or_else(|| no_tenant(&tenant))?
                }
                Door::Server(client) => remote::tenants::get(client, &tenant).await?,
            };
            say!("{}", serde_json::to_string_pretty(&shown)?)
        }
        Tenants::Create(new) => match door {
            Door::Database(database) => create(&database.pool, new).await,
            Door::Server(client) => {
                let Stored { id, slug, .. } = remote::tenants::create(client, &new).await?;
                say!("{slug}\t{id}")
            }
        },
        Tenants::Set(changed) => match door {
            Door::Database(database) => set(&database.pool, changed).await,
            Door::Server(client) => {
                require_some(&changed)?;
                let (before, after) = remote::tenants::change(client, &changed).await?;
                let done = if before == after { "is unchanged" } else { "was changed" };
                say!("{} {done}", after.slug)
            }
        },
    }
}

fn print_list(rows: Vec<Stored>, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        for row in rows {
            say!("{}", json!(row))?;
        }
        return Ok(());
    }
    let mut table = table(&["TENANT", "ID", "STATE", "TIME ZONE", "LANGUAGE MODELS", "CREATED", "NAME"]);
    for row in rows {
        table.add_row([
            row.slug,
            row.id.to_string(),
            if row.is_active { "active" } else { "inactive" }.to_owned(),
            row.time_zone,
            if row.llm_enabled { "allowed" } else { "no" }.to_owned(),
            instant(row.created_at),
            row.name,
        ]);
    }
    say_table(&table, "there are no tenants yet")
}

fn require_some(changed: &ChangedTenant) -> anyhow::Result<()> {
    let ChangedTenant { tenant: _, name, time_zone, active, llm_enabled } = changed;
    if name.is_none() && time_zone.is_none() && active.is_none() && llm_enabled.is_none() {
        bail!("give at least one of --name, --time-zone, --active and --llm-enabled");
    }
    Ok(())
}

async fn create(pool: &PgPool, new: NewTenant) -> anyhow::Result<()> {
    let NewTenant { slug, name, time_zone, llm_enabled } = new;
    let name = name.unwrap_or_else(|| slug.clone());
    let new = New { slug, name, time_zone, is_active: true, llm_enabled };
    let mut tx = pool.begin().await?;
    let made = tenants::create(&mut tx, &Actor::cli(), Uuid::now_v7(), &new).await.map_err(told)?;
    tx.commit().await?;
    say!("{}\t{}", made.slug, made.id)
}

async fn set(pool: &PgPool, changed: ChangedTenant) -> anyhow::Result<()> {
    require_some(&changed)?;
    let ChangedTenant { tenant: name_or_id, name, time_zone, active, llm_enabled } = changed;
    let change = Change { name, time_zone, is_active: active, llm_enabled };
    let mut tx = pool.begin().await?;
    let changed = tenants::change(&mut tx, &Actor::cli(), &name_or_id, &change).await;
    let (before, after) = changed.map_err(told)?;
    tx.commit().await?;
    if before == after { say!("{} is unchanged", after.slug) } else { say!("{} was changed", after.slug) }
}

/// With the options and commands of the command line.
fn told(refused: Refused) -> anyhow::Error {
    match refused {
        Refused::Wrong(wrong) => {
            let option = |field: &str| match field {
                "slug" => String::new(),
                field => format!("--{}", field.replace('_', "-")),
            };
            let wrong = wrong.iter().map(|it| match (option(it.field), &it.message) {
                (option, message) if option.is_empty() => message.clone(),
                (option, message) if message.starts_with("is ") => format!("{option} {message}"),
                (option, message) => format!("{option}: {message}"),
            });
            anyhow!("{}", wrong.collect::<Vec<_>>().join("; "))
        }
        Refused::Taken(slug) => {
            anyhow!("tenant {slug:?} already exists; change it with `weirgate tenants set {slug}`")
        }
        Refused::Unknown(name) => no_tenant(&name),
        Refused::Database(error) => error.into(),
    }
}
