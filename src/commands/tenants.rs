//! `tenants`: look at them, make and change them.

use anyhow::bail;
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;
use weirgate_queue::cron::parse_zone;

use super::session::Session;
use super::{instant, table, tenant};
use crate::audit::{Actor, Change, Subject};
use crate::cli::{ChangedTenant, NewTenant, Tenants};
use crate::output::say;

pub(super) async fn run(command: Tenants, session: &Session) -> anyhow::Result<()> {
    session.with_database("tenants", async |database| act(command, &database.pool).await).await
}

async fn act(command: Tenants, pool: &PgPool) -> anyhow::Result<()> {
    match command {
        Tenants::List { json } => list(pool, json).await,
        Tenants::Create(new) => create(pool, new).await,
        Tenants::Set(changed) => set(pool, changed).await,
    }
}

/// A tenant in the list.
struct Row {
    id: Uuid,
    slug: String,
    name: String,
    is_active: bool,
    llm_enabled: bool,
    time_zone: String,
    created_at: DateTime<Utc>,
}

async fn list(pool: &PgPool, as_json: bool) -> anyhow::Result<()> {
    let rows = sqlx::query_as!(
        Row,
        "select id, slug, name, is_active, llm_enabled, time_zone, created_at from tenants order by slug"
    )
    .fetch_all(pool)
    .await?;
    if as_json {
        for Row { id, slug, name, is_active, llm_enabled, time_zone, created_at } in rows {
            let tenant = json!({
                "id": id, "slug": slug, "name": name, "is_active": is_active, "llm_enabled": llm_enabled,
                "time_zone": time_zone, "created_at": created_at,
            });
            say!("{tenant}")?;
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

async fn create(pool: &PgPool, new: NewTenant) -> anyhow::Result<()> {
    let NewTenant { slug, name, time_zone, llm_enabled } = new;
    let name = name.unwrap_or_else(|| slug.clone());
    if slug == weirgate_jobs::SYSTEM_SLUG || slug.parse::<Uuid>().is_ok() {
        bail!("{slug:?} cannot be the slug of a tenant: it names something else");
    }
    check(Some(&name), Some(&time_zone))?;
    let id = Uuid::now_v7();
    let mut tx = pool.begin().await?;
    let noted = Change::begin(&mut tx, Subject::Tenant { id, slug: &slug }).await?;
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
    noted.note(&mut tx, &Actor::cli(), "tenant.create", &[]).await?;
    tx.commit().await?;
    say!("{slug}\t{id}")
}

async fn set(pool: &PgPool, changed: ChangedTenant) -> anyhow::Result<()> {
    let ChangedTenant { tenant: name_or_id, name, time_zone, active, llm_enabled } = changed;
    if name.is_none() && time_zone.is_none() && active.is_none() && llm_enabled.is_none() {
        bail!("name at least one of --name, --time-zone, --active and --llm-enabled");
    }
    check(name.as_deref(), time_zone.as_deref())?;
    let given = [
        ("name", name.is_some()),
        ("time_zone", time_zone.is_some()),
        ("is_active", active.is_some()),
        ("llm_enabled", llm_enabled.is_some()),
    ];
    let about: Vec<&str> = given.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
    let tenant = tenant(pool, &name_or_id).await?;
    let mut tx = pool.begin().await?;
    let noted = Change::begin(&mut tx, Subject::Tenant { id: tenant.id, slug: &tenant.slug.0 }).await?;
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
    let differs = noted.note(&mut tx, &Actor::cli(), "tenant.change", &about).await?;
    tx.commit().await?;
    say!("{} is {}", tenant.slug, if differs { "changed" } else { "so already" })
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
