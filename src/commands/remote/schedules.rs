//! `schedules`, of a server.

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use weirgate_queue::schedule::ScheduleChange;

use crate::client::{Call, Client};
use crate::commands::schedules::Schedule;

/// What a schedule enqueued.
#[derive(Deserialize)]
struct Enqueued {
    enqueued: usize,
    /// The first of them.
    items: Vec<Uuid>,
}

pub(in crate::commands) async fn list(client: &Client) -> Result<Vec<Schedule>> {
    client.whole(&Call::get(["internal", "schedules"])).await
}

/// The first jobs that were enqueued, and how many there are in all.
pub(in crate::commands) async fn run(
    client: &Client,
    name: &str,
    tenant: Option<&str>,
) -> Result<(Vec<Uuid>, usize)> {
    let body = tenant.map_or_else(|| json!({}), |tenant| json!({ "tenant": tenant }));
    let call = Call::post(["internal", "schedules", name, "run"]).json(body).option("tenant", "--tenant");
    let Enqueued { enqueued, items } = client.ask(&call).await?;
    Ok((items, enqueued))
}

pub(in crate::commands) async fn pause(client: &Client, name: &str, paused: bool) -> Result<()> {
    let verb = if paused { "pause" } else { "resume" };
    client.tell(&Call::post(["internal", "schedules", name, verb])).await
}

/// The schedule as it is after that.
pub(in crate::commands) async fn change(
    client: &Client,
    name: &str,
    change: &ScheduleChange,
) -> Result<Schedule> {
    let ScheduleChange { cron, time_zone, enabled, missed, missed_limit } = change;
    let fields = [
        ("cron", cron.as_ref().map(|cron| json!(cron))),
        // Null is each tenant's own.
        ("time_zone", time_zone.as_ref().map(|zone| json!(zone))),
        ("enabled", enabled.map(Value::from)),
        ("missed", missed.map(|missed| json!(missed))),
        ("missed_limit", missed_limit.map(Value::from)),
    ];
    let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let body = Value::Object(given.collect::<Map<_, _>>());
    let call = Call::put(["internal", "schedules", name], body)
        .option("cron", "--cron")
        .option("time_zone", "--time-zone")
        .option("missed", "--missed")
        .option("missed_limit", "--missed-limit");
    client.ask(&call).await
}
