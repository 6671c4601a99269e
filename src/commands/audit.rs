//! `audit`: who did what, when, to what, and how that was before.

use anyhow::{Context, bail};
use serde_json::Value;
use sqlx::PgPool;
use weirgate_identity::audit::{self, Entry, Filter, Listed};
use weirgate_identity::{SYSTEM_SLUG, SYSTEM_TENANT};

use super::door::Door;
use super::remote;
use super::session::Session;
use super::table::{instant, say_table, table};
use super::tenant::tenant;
use crate::cli::Audit;
use crate::http::internal::audit::AuditEntry;
use crate::output::say;

pub(super) async fn run(options: Audit, session: &Session) -> anyhow::Result<()> {
    if let (Some(from), Some(to)) = (options.from, options.to)
        && to <= from
    {
        bail!("--to {} is not after --from {}", instant(to), instant(from));
    }
    let as_json = options.json;
    let find = async |door: Door<'_>| match door {
        Door::Database(database) => stored(options, &database.pool).await,
        Door::Server(client) => remote::audit::list(client, &options).await,
    };
    print_list(session.with_door("audit", find).await?, as_json)
}

/// Entries of the database.
async fn stored(options: Audit, pool: &PgPool) -> anyhow::Result<Vec<AuditEntry>> {
    let Audit { actor, action, target, tenant: named, via, from, to, limit, json: _ } = options;
    let tenant = match named.as_deref() {
        None => None,
        Some(SYSTEM_SLUG) => Some(SYSTEM_TENANT),
        Some(name) => Some(tenant(pool, name).await.context("--tenant")?.id),
    };
    let filter = Filter { actor, action, target, via, tenant, from, to };
    Ok(list(pool, &filter, limit).await?.into_iter().map(AuditEntry::from).collect())
}

fn print_list(entries: Vec<AuditEntry>, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        for entry in &entries {
            say!("{}", serde_json::to_string(entry)?)?;
        }
        return Ok(());
    }
    let mut table = table(&["WHEN", "ACTOR", "ACTION", "TARGET", "TENANT", "VIA", "BEFORE", "AFTER"]);
    for entry in entries {
        let side = |name: &str| {
            entry.detail.get(name).filter(|it| !it.is_null()).map_or_else(String::new, Value::to_string)
        };
        let (before, after) = (side("before"), side("after"));
        let same = entry.detail.get("before").is_some_and(|it| Some(it) == entry.detail.get("after"));
        let from = entry.address.map_or(entry.via.to_string(), |address| format!("{}, {address}", entry.via));
        let times = if entry.times > 1 { format!(" × {}", entry.times) } else { String::new() };
        table.add_row([
            instant(entry.at),
            entry.actor,
            entry.action + &times,
            entry.target,
            entry.tenant.unwrap_or_default(),
            from,
            before,
            if same { "unchanged".to_owned() } else { after },
        ]);
    }
    say_table(&table, "no entries match")
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
