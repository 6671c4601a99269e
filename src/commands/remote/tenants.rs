//! `tenants`, of a server.

use anyhow::Result;
use serde_json::{Map, Value, json};
use weirgate_identity::tenants::Stored;

use crate::cli::{ChangedTenant, NewTenant};
use crate::client::{Call, Client};

pub(in crate::commands) async fn list(client: &Client) -> Result<Vec<Stored>> {
    client.list(&Call::get(["internal", "tenants"]), usize::MAX).await
}

pub(in crate::commands) async fn get(client: &Client, tenant: &str) -> Result<Stored> {
    client.ask(&Call::get(["internal", "tenants", tenant])).await
}

pub(in crate::commands) async fn create(client: &Client, new: &NewTenant) -> Result<Stored> {
    let NewTenant { slug, name, time_zone, llm_enabled } = new;
    let name = name.as_ref().unwrap_or(slug);
    let body = json!({ "slug": slug, "name": name, "time_zone": time_zone, "llm_enabled": llm_enabled });
    client.ask(&named(Call::post(["internal", "tenants"]).json(body))).await
}

/// What it was before, and is now.
pub(in crate::commands) async fn change(
    client: &Client,
    changed: &ChangedTenant,
) -> Result<(Stored, Stored)> {
    let ChangedTenant { tenant, name, time_zone, active, llm_enabled } = changed;
    let fields = [
        ("name", name.as_deref().map(Value::from)),
        ("time_zone", time_zone.as_deref().map(Value::from)),
        ("is_active", active.map(Value::from)),
        ("llm_enabled", llm_enabled.map(Value::from)),
    ];
    let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let body = Value::Object(given.collect::<Map<_, _>>());
    let before = get(client, tenant).await?;
    let after = client.ask(&named(Call::patch(["internal", "tenants", tenant], body))).await?;
    Ok((before, after))
}

fn named(call: Call) -> Call {
    call.option("slug", "the slug")
        .option("name", "--name")
        .option("time_zone", "--time-zone")
        .option("is_active", "--active")
        .option("llm_enabled", "--llm-enabled")
}
