//! `limits`: what each tenant may start and run in each queue.

use anyhow::bail;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use weirgate_identity::Tenant;
use weirgate_identity::audit::Actor;
use weirgate_queue::JobState;
use weirgate_queue::lanes::{self, Blocked, LimitsInput, QueueView, QueueViews};

use super::door::{Door, Local};
use super::remote;
use super::session::Session;
use super::table::{say_table, table};
use super::tenant::tenant;
use crate::cli::{Limits, SetLimits};
use crate::{limits, queues};

pub(super) async fn run(command: Limits, session: &Session) -> anyhow::Result<()> {
    session.with_door("limits", async |door| act(command, door).await).await
}

async fn act(command: Limits, door: Door<'_>) -> anyhow::Result<()> {
    print_list(match (command, door) {
        (Limits::Show { tenant: name_or_id }, Door::Database(database)) => {
            stored(&database, &tenant(&database.pool, &name_or_id).await?).await?
        }
        (Limits::Show { tenant }, Door::Server(client)) => remote::limits::list(client, &tenant).await?,
        (Limits::Set(options), Door::Database(database)) => {
            let given = given(&options)?;
            let limits = given.lane().map_err(|wrong| {
                let wrong = wrong.iter().map(|it| format!("{}: {}", option(it.field), it.message));
                anyhow::anyhow!("{}", wrong.collect::<Vec<_>>().join("; "))
            })?;
            let tenant = tenant(&database.pool, &options.tenant).await?;
            apply(&database, &tenant, &options.queue, Some(limits)).await?
        }
        (Limits::Set(options), Door::Server(client)) => {
            let given = given(&options)?;
            remote::limits::set(client, &options.tenant, &options.queue, given).await?
        }
        (Limits::Clear { tenant: name_or_id, queue }, Door::Database(database)) => {
            let tenant = tenant(&database.pool, &name_or_id).await?;
            apply(&database, &tenant, &queue, None).await?
        }
        (Limits::Clear { tenant, queue }, Door::Server(client)) => {
            remote::limits::clear(client, &tenant, &queue).await?
        }
    })
}

/// What is asked for.
fn given(options: &SetLimits) -> anyhow::Result<LimitsInput> {
    let &SetLimits { rate, period, burst, max_running, weight, .. } = options;
    let given = LimitsInput { rate, period_s: period, burst, max_running, weight };
    if given == LimitsInput::default() {
        bail!(
            "give at least one limit; `weirgate limits clear` resets the tenant to the defaults of the queue"
        );
    }
    Ok(given)
}

/// What a limit is called on the command line.
pub(super) fn option(field: &str) -> String {
    let name = if field == "period_s" { "period" } else { field };
    format!("--{}", name.replace('_', "-"))
}

/// A tenant's place in a queue, as commands show it.
pub(super) struct Lane {
    pub(super) queue: String,
    /// Whether the limits are its own.
    pub(super) own: bool,
    pub(super) limits: LaneLimits,
    pub(super) available: i64,
    pub(super) running: i64,
    /// What keeps its next job from starting.
    pub(super) blocked: Option<Blocked>,
}

/// What applies to it; what is missing is no limit.
#[derive(Deserialize)]
pub(super) struct LaneLimits {
    rate: Option<u32>,
    period_s: Option<f64>,
    burst: Option<u32>,
    pub(super) max_running: Option<u32>,
    weight: f64,
}

async fn apply(
    database: &Local<'_>,
    tenant: &Tenant,
    queue: &str,
    own: Option<lanes::LaneLimits>,
) -> anyhow::Result<Vec<Lane>> {
    let mut tx = database.pool.begin().await?;
    let known = queues::known(&mut tx, database.catalog, Some(tenant.id)).await?;
    if !known.contains(queue) {
        bail!("{queue:?}: {}", queues::unknown(&known));
    }
    limits::set_lane(&mut tx, &Actor::cli(), (tenant.id, &tenant.slug.0), queue, own).await?;
    tx.commit().await?;
    stored(database, tenant).await
}

/// The lanes of the database.
async fn stored(database: &Local<'_>, tenant: &Tenant) -> anyhow::Result<Vec<Lane>> {
    let known =
        queues::known(&mut *database.pool.acquire().await?, database.catalog, Some(tenant.id)).await?;
    let views = QueueViews::new(database.pool.clone());
    let mut lanes = Vec::with_capacity(known.len());
    for queue in known {
        lanes.push(views.read(&queue, |view| lane(view, tenant)).await?);
    }
    Ok(lanes)
}

fn lane(view: &QueueView, tenant: &Tenant) -> Lane {
    let settings = view.settings();
    let limits = settings.lane_limits(tenant.id);
    let facts = view.lane_activity(tenant.id);
    let count = |state: JobState| facts.counts.get(&state).copied().unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "at most a year")]
    let period_s = limits.rate.map(|rate| rate.period_ms as f64 / 1000.0);
    Lane {
        queue: view.queue().to_owned(),
        own: settings.lanes.get(&tenant.id).is_some_and(|lane| lane.limits.is_some()),
        limits: LaneLimits {
            rate: limits.rate.map(|rate| rate.rate),
            period_s,
            burst: limits.rate.map(|rate| rate.burst),
            max_running: limits.max_running,
            weight: limits.weight,
        },
        available: count(JobState::Available),
        running: count(JobState::Running),
        blocked: view.explain(tenant.id, None),
    }
}

fn print_list(lanes: Vec<Lane>) -> anyhow::Result<()> {
    let mut table = table(&[
        "QUEUE",
        "LIMITS",
        "RATE",
        "BURST",
        "MAX RUNNING",
        "WEIGHT",
        "AVAILABLE",
        "RUNNING",
        "NEXT START",
    ]);
    let or_dash = |number: Option<u32>| number.map_or_else(|| "-".to_owned(), |it| it.to_string());
    for Lane { queue, own, limits, available, running, blocked } in lanes {
        table.add_row([
            queue,
            if own { "own" } else { "default" }.to_owned(),
            limits.rate.map_or_else(|| "-".to_owned(), |rate| per_period(rate, limits.period_s)),
            or_dash(limits.burst),
            or_dash(limits.max_running),
            limits.weight.to_string(),
            available.to_string(),
            running.to_string(),
            may_start(blocked),
        ]);
    }
    say_table(&table, "there are no queues yet")
}

fn may_start(blocked: Option<Blocked>) -> String {
    let time = |at: DateTime<Utc>| at.format("%H:%M:%S%.3f UTC");
    match blocked {
        None => "now".to_owned(),
        Some(Blocked::Throttled(at)) => format!("at {}", time(at)),
        Some(Blocked::QueueThrottled(at)) => format!("at {} (rate of the queue)", time(at)),
        Some(Blocked::LaneFull { .. }) => "blocked: max_running".to_owned(),
        Some(Blocked::QueueFull { .. }) => "blocked: max_running of the queue".to_owned(),
        Some(Blocked::LanePaused) => "blocked: paused".to_owned(),
        Some(Blocked::QueuePaused) => "blocked: queue paused".to_owned(),
        Some(Blocked::BackfillPaused | Blocked::BackfillFull { .. }) => {
            unreachable!("live work has no backfill")
        }
    }
}

fn per_period(rate: u32, period_s: Option<f64>) -> String {
    let seconds = period_s.unwrap_or(1.0);
    if (seconds - 1.0).abs() < f64::EPSILON {
        format!("{rate}/s")
    } else if seconds.fract() == 0.0 {
        format!("{rate}/{seconds} s")
    } else {
        format!("{rate}/{} ms", (seconds * 1000.0).round())
    }
}
