//! `tenants`: look at them, make and change them.

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use weirgate_queue::cron::parse_zone;

use super::door::Door;
use super::session::Session;
use super::{instant, remote, table, tenant};
use crate::audit::Actor;
use crate::cli::{ChangedTenant, NewTenant, Tenants};
use crate::output::say;

pub(super) async fn run(command: Tenants, session: &Session) -> anyhow::Result<()> {
    session.with_door("tenants", async |door| act(command, door).await).await
}

async fn act(command: Tenants, door: Door<'_>) -> anyhow::Result<()> {
    match command {
        Tenants::List { json } => {
            let rows = match door {
                Door::Database(database) => list(&database.pool).await?,
                Door::Server(client) => remote::tenants::list(client).await?,
            };
            print_list(rows, json)
        }
        Tenants::Create(new) => match door {
            Door::Database(database) => create(&database.pool, new).await,
            Door::Server(client) => {
                let Row { id, slug, .. } = remote::tenants::create(client, &new).await?;
                say!("{slug}\t{id}")
            }
        },
        Tenants::Set(changed) => match door {
            Door::Database(database) => set(&database.pool, changed).await,
            Door::Server(client) => {
                require_some(&changed)?;
                let (before, after) = remote::tenants::change(client, &changed).await?;
                let done = if before == after { "is so already" } else { "is changed" };
                say!("{} {done}", after.slug)
            }
        },
    }
}

/// A tenant as commands show it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    id: Uuid,
    pub(super) slug: String,
    name: String,
    is_active: bool,
    llm_enabled: bool,
    time_zone: String,
    created_at: DateTime<Utc>,
}

async fn list(pool: &PgPool) -> anyhow::Result<Vec<Row>> {
    let rows = sqlx::query_as!(
        Row,
        "select id, slug, name, is_active, llm_enabled, time_zone, created_at from tenants order by slug"
    );
    Ok(rows.fetch_all(pool).await?)
}

fn print_list(rows: Vec<Row>, as_json: bool) -> anyhow::Result<()> {
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
    say!("{table}")
}

fn require_some(changed: &ChangedTenant) -> anyhow::Result<()> {
    let ChangedTenant { tenant: _, name, time_zone, active, llm_enabled } = changed;
    if name.is_none() && time_zone.is_none() && active.is_none() && llm_enabled.is_none() {
        bail!("name at least one of --name, --time-zone, --active and --llm-enabled");
    }
    Ok(())
}

async fn create(pool: &PgPool, new: NewTenant) -> anyhow::Result<()> {
    let NewTenant { slug, name, time_zone, llm_enabled } = new;
    let name = name.unwrap_or_else(|| slug.clone());
    if slug == weirgate_jobs::SYSTEM_SLUG || slug.parse::<Uuid>().is_ok() {
        bail!("{slug:?} cannot be the slug of a tenant: it names something else");
    }
    check(Some(&name), Some(&time_zone))?;
    let id = Uuid::now_v7();
    let mut tx = pool.begin().await?;
    let made = sqlx::query!(
        "insert into tenants (id, slug, name, is_active, llm_enabled, time_zone, created_at)
         values ($1, $2, $3, true, $4, $5, queue.now()) on conflict (slug) do nothing",
        id,
        slug,
        name,
        llm_enabled,
        time_zone
    )
    .execute(&mut *tx)
    .await?;
    if made.rows_affected() == 0 {
        bail!("there is a tenant {slug:?} already; `weirgate tenants set {slug}` changes it");
    }
    let detail =
        json!({ "name": name, "is_active": true, "time_zone": time_zone, "llm_enabled": llm_enabled });
    Actor::cli().note(&mut tx, "tenant.create", &slug, &detail).await?;
    tx.commit().await?;
    say!("{slug}\t{id}")
}

async fn set(pool: &PgPool, changed: ChangedTenant) -> anyhow::Result<()> {
    require_some(&changed)?;
    let ChangedTenant { tenant: name_or_id, name, time_zone, active, llm_enabled } = changed;
    check(name.as_deref(), time_zone.as_deref())?;
    let tenant = tenant(pool, &name_or_id).await?;
    let mut tx = pool.begin().await?;
    let before = stored(&mut tx, tenant.id).await?;
    sqlx::query!(
        "update tenants set name = coalesce($2, name), time_zone = coalesce($3, time_zone),
            is_active = coalesce($4, is_active), llm_enabled = coalesce($5, llm_enabled)
         where id = $1",
        tenant.id,
        name,
        time_zone,
        active,
        llm_enabled
    )
    .execute(&mut *tx)
    .await?;
    let after = stored(&mut tx, tenant.id).await?;
    if before == after {
        return say!("{} is so already", tenant.slug);
    }
    let detail = json!({ "from": before, "to": after });
    Actor::cli().note(&mut tx, "tenant.change", &tenant.slug.0, &detail).await?;
    tx.commit().await?;
    say!("{} is changed", tenant.slug)
}

/// A tenant's row, which is the caller's until the end of the transaction.
async fn stored(conn: &mut PgConnection, id: Uuid) -> anyhow::Result<serde_json::Value> {
    let row = sqlx::query_scalar!("select to_jsonb(t) from tenants t where id = $1 for update", id)
        .fetch_optional(conn)
        .await?;
    row.flatten().context("the tenant is gone")
}

fn check(name: Option<&str>, time_zone: Option<&str>) -> anyhow::Result<()> {
    if name.is_some_and(|name| name.trim().is_empty()) {
        bail!("--name is blank; expected a name for people, such as \"Acme Ltd\"");
    }
    if let Some(Err(why)) = time_zone.map(parse_zone) {
        bail!("--time-zone: {why}");
    }
    Ok(())
}
