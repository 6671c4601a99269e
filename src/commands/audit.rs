//! `audit`: who did what, when, to what, and how that was before.

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde_json::{Value, json};
use sqlx::PgPool;
use weirgate_jobs::{SYSTEM_SLUG, SYSTEM_TENANT};

use super::session::Session;
use super::{instant, table, tenant};
use crate::audit::{self, Entry, Filter, Listed};
use crate::cli::Audit;
use crate::output::say;

pub(super) async fn run(options: Audit, session: &Session) -> anyhow::Result<()> {
    if let (Some(from), Some(to)) = (options.from, options.to)
        && to <= from
    {
        bail!("--to {} is not after --from {}", instant(to), instant(from));
    }
    session.with_database("audit", async |database| show(options, &database.pool).await).await
}

async fn show(options: Audit, pool: &PgPool) -> anyhow::Result<()> {
    let Audit { actor, action, target, tenant: named, via, from, to, limit, json } = options;
    let tenant = match named.as_deref() {
        None => None,
        Some(SYSTEM_SLUG) => Some(SYSTEM_TENANT),
        Some(name) => Some(tenant(pool, name).await.context("--tenant")?.id),
    };
    let via = via.and_then(|via| via.to_possible_value()).map(|via| via.get_name().to_owned());
    let filter = Filter { actor, action, target, via, tenant, from, to };
    let entries = list(pool, &filter, limit).await?;
    if json {
        for entry in &entries {
            say!("{}", describe(entry))?;
        }
        return Ok(());
    }
    let mut table = table(&["WHEN", "WHO", "WHAT", "TO WHAT", "TENANT", "FROM", "BEFORE", "AFTER"]);
    for entry in entries {
        let side = |name: &str| {
            entry.detail.get(name).filter(|it| !it.is_null()).map_or_else(String::new, Value::to_string)
        };
        let (before, after) = (side("before"), side("after"));
        let same = entry.detail.get("before").is_some_and(|it| Some(it) == entry.detail.get("after"));
        let from = entry.address.map_or(entry.via.clone(), |address| format!("{}, {address}", entry.via));
        let times = if entry.times > 1 { format!(" × {}", entry.times) } else { String::new() };
        table.add_row([
            instant(entry.at),
            entry.actor,
            entry.action + &times,
            entry.target,
            entry.tenant.unwrap_or_default(),
            from,
            before,
            if same { "as before".to_owned() } else { after },
        ]);
    }
    say!("{table}")
}

/// Page after page, until there are enough.
async fn list(pool: &PgPool, filter: &Filter, limit: i64) -> anyhow::Result<Vec<Entry>> {
    let mut conn = pool.acquire().await?;
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let Listed { entries, next } =
            audit::list(&mut conn, filter, before, limit - i64::try_from(all.len())?).await?;
        all.extend(entries);
        before = next;
        if before.is_none() || i64::try_from(all.len())? >= limit {
            return Ok(all);
        }
    }
}

fn describe(entry: &Entry) -> Value {
    let Entry { id, at, actor, via, address, action, target, tenant_id, tenant, detail, times, now: _ } =
        entry;
    json!({
        "id": id, "at": at, "actor": actor, "via": via, "address": address, "action": action, "target": target,
        "tenant_id": tenant_id, "tenant": tenant, "detail": detail, "times": times,
    })
}
