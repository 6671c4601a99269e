//! Makes the tenants of `tenants.json`, and a first API key for each.

use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, bail};
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;
use weirgate_msp::sources::open_within;
use weirgate_queue::schedule::cron::parse_zone;

use weirgate_identity::audit::{Actor, Change, Subject};
use weirgate_identity::keys::issuing::{self, New};

/// A tenant in `tenants.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantFile {
    id: Uuid,
    slug: String,
    name: String,
    is_active: bool,
    llm_enabled: bool,
    time_zone: String,
}

/// A tenant that is there now.
#[derive(Debug, Clone, Serialize)]
pub struct Seeded {
    /// Permanent id.
    pub id: Uuid,
    /// Name in URLs.
    pub slug: String,
    /// Name for people.
    pub name: String,
    /// Its new API key; it is shown only now.
    pub api_key: Option<String>,
}

/// Upserts the tenants of `folder/tenants.json`, but for their slugs: these never change. Tenants
/// without a live key get one; with `fresh_keys`, every one does, in place of those it got the same
/// way before.
///
/// # Errors
/// When the file cannot be read or something in it is wrong, of which then nothing is stored; or
/// Postgres refuses a row.
pub async fn seed(
    pool: &PgPool,
    folder: &Path,
    fresh_keys: bool,
    rng: &mut impl Rng,
) -> anyhow::Result<Vec<Seeded>> {
    let path = folder.join("tenants.json");
    let reading = || format!("reading {}", path.display());
    let mut file = open_within(folder, "tenants.json")
        .and_then(|file| file.ok_or_else(|| ErrorKind::NotFound.into()))
        .with_context(reading)?;
    let mut text = String::new();
    file.read_to_string(&mut text).with_context(reading)?;
    let tenants: Vec<TenantFile> = serde_json::from_str(&text)
        .with_context(|| format!("{} is not a list of tenants", path.display()))?;
    for tenant in &tenants {
        if let Err(why) = parse_zone(&tenant.time_zone) {
            bail!("{}: tenant {}, time_zone: {why}", path.display(), tenant.slug);
        }
    }
    let mut seeded = Vec::new();
    for tenant in tenants {
        let slug = tenant.slug.clone();
        seeded.push(
            seed_one(pool, tenant, fresh_keys, rng)
                .await
                .with_context(|| format!("seeding tenant {slug} of {}", path.display()))?,
        );
    }
    Ok(seeded)
}

async fn seed_one(
    pool: &PgPool,
    tenant: TenantFile,
    fresh_keys: bool,
    rng: &mut impl Rng,
) -> anyhow::Result<Seeded> {
    let mut tx = pool.begin().await?;
    let noted = Change::begin(&mut tx, Subject::Tenant { id: tenant.id, slug: &tenant.slug }).await?;
    let slug = noted.before().and_then(|tenant| tenant["slug"].as_str());
    if let Some(slug) = slug.filter(|slug| *slug != tenant.slug) {
        bail!(
            "the tenant {} has the slug {slug:?}, and a slug never changes: its files and jobs go by it. Put {slug:?} back into \
             tenants.json and change \"name\", which is for people; or give the new tenant an id of its own",
            tenant.id
        );
    }
    sqlx::query!(
        "insert into identity.tenants (id, slug, name, is_active, llm_enabled, time_zone, created_at)
         values ($1, $2, $3, $4, $5, $6, queue.now())
         on conflict (id) do update
         set name = excluded.name, is_active = excluded.is_active,
             llm_enabled = excluded.llm_enabled, time_zone = excluded.time_zone",
        tenant.id,
        tenant.slug,
        tenant.name,
        tenant.is_active,
        tenant.llm_enabled,
        tenant.time_zone
    )
    .execute(&mut *tx)
    .await?;
    let actor = Actor::cli();
    // A file that says what is so already does nothing.
    let action = if noted.before().is_some() { "tenant.change" } else { "tenant.create" };
    noted.note_if_any(&mut tx, &actor, action).await?;
    if fresh_keys {
        let replaced = sqlx::query_scalar!(
            "delete from identity.api_keys where tenant_id = $1 and name = 'seed' returning prefix",
            tenant.id
        )
        .fetch_all(&mut *tx)
        .await?;
        for prefix in replaced {
            let before = json!({ "tenant": tenant.slug, "name": "seed" });
            let detail = json!({ "before": before, "after": null });
            actor.note(&mut tx, "key.revoke", &prefix, Some(tenant.id), &detail).await?;
        }
    }
    let has_key = sqlx::query_scalar!(
        r#"select exists (
            select from identity.api_keys where tenant_id = $1 and is_active and (expires_at is null or expires_at > queue.now())
        ) as "exists!""#,
        tenant.id
    )
    .fetch_one(&mut *tx)
    .await?;
    let api_key = if fresh_keys || !has_key {
        let mut random = [0; 32];
        rng.fill_bytes(&mut random);
        let new = New {
            id: Uuid::now_v7(),
            tenant: tenant.id,
            slug: &tenant.slug,
            name: "seed",
            scopes: None,
            expires_at: None,
            random,
        };
        Some(issuing::issue(&mut tx, &actor, new).await?)
    } else {
        None
    };
    tx.commit().await?;
    Ok(Seeded { id: tenant.id, slug: tenant.slug, name: tenant.name, api_key })
}
