//! `limits`: what each tenant may start and run in each queue.

use anyhow::bail;
use chrono::{DateTime, Utc};
use comfy_table::Table;
use sqlx::PgPool;
use weirgate_jobs::Tenant;
use weirgate_queue::JobState;
use weirgate_queue::lanes::change::{LaneChange, change_lane};
use weirgate_queue::lanes::check::GivenLimits;
use weirgate_queue::lanes::{Blocked, Book, Books, Rate};

use super::session::Session;
use super::{table, tenant};
use crate::audit::{Actor, Change, Subject};
use crate::cli::{Limits, SetLimits};
use crate::output::say;
use crate::queues;

pub(super) async fn run(command: Limits, session: &Session) -> anyhow::Result<()> {
    session.with_database("limits", async |database| act(command, &database.pool).await).await
}

async fn act(command: Limits, pool: &PgPool) -> anyhow::Result<()> {
    match command {
        Limits::Show { tenant: name_or_id } => {
            say!("{}", show(pool, &tenant(pool, &name_or_id).await?).await?)
        }
        Limits::Set(options) => set(pool, options).await,
        Limits::Clear { tenant: name_or_id, queue } => {
            let tenant = tenant(pool, &name_or_id).await?;
            let change = LaneChange { paused: None, limits: Some(None) };
            apply(pool, &tenant, &queue, change).await
        }
    }
}

async fn set(pool: &PgPool, options: SetLimits) -> anyhow::Result<()> {
    let SetLimits { tenant: name_or_id, queue, rate, period, burst, max_running, weight } = options;
    let tenant = tenant(pool, &name_or_id).await?;
    let given = GivenLimits { rate, period_s: period, burst, max_running, weight };
    if given == GivenLimits::default() {
        bail!("name at least one limit; `weirgate limits clear` gives the tenant back to what the queue has");
    }
    let limits = given.lane().map_err(|wrong| {
        let wrong: Vec<String> = wrong.iter().map(|it| format!("{}: {}", it.field, it.message)).collect();
        anyhow::anyhow!("{}", wrong.join("; "))
    })?;
    apply(pool, &tenant, &queue, LaneChange { paused: None, limits: Some(Some(limits)) }).await
}

async fn apply(pool: &PgPool, tenant: &Tenant, queue: &str, change: LaneChange) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    let known = queues::known(&mut tx, Some(tenant.id)).await?;
    if !known.contains(queue) {
        bail!("{queue:?}: {}", queues::unknown(&known));
    }
    let lane = Subject::Lane { tenant: tenant.id, slug: &tenant.slug.0, queue };
    let noted = Change::begin(&mut tx, lane).await?;
    change_lane(&mut tx, queue, tenant.id, change).await?;
    noted.note(&mut tx, &Actor::cli(), "lane.limits", &["limits"]).await?;
    tx.commit().await?;
    say!("{}", show(pool, tenant).await?)
}

async fn show(pool: &PgPool, tenant: &Tenant) -> anyhow::Result<Table> {
    let known = queues::known(&mut *pool.acquire().await?, Some(tenant.id)).await?;
    let books = Books::new(pool.clone());
    let mut table = table(&[
        "QUEUE",
        "LIMITS",
        "RATE",
        "BURST",
        "MAX RUNNING",
        "WEIGHT",
        "AVAILABLE",
        "RUNNING",
        "MAY START",
    ]);
    for queue in known {
        table.add_row(books.read(&queue, |book| row(book, tenant)).await?);
    }
    Ok(table)
}

fn row(book: &Book, tenant: &Tenant) -> [String; 9] {
    let settings = book.settings();
    let limits = settings.lane(tenant.id);
    let facts = book.lane_facts(tenant.id);
    let count = |state: JobState| facts.counts.get(&state).copied().unwrap_or(0).to_string();
    let or_dash = |number: Option<u32>| number.map_or_else(|| "-".to_owned(), |it| it.to_string());
    let own = settings.lanes.get(&tenant.id).is_some_and(|lane| lane.limits.is_some());
    let time = |at: DateTime<Utc>| at.format("%H:%M:%S%.3f UTC");
    let may_start = match book.explain(tenant.id, None) {
        None => "now".to_owned(),
        Some(Blocked::Throttled(at)) => format!("at {}", time(at)),
        Some(Blocked::QueueThrottled(at)) => format!("at {}, as the whole queue", time(at)),
        Some(Blocked::LaneFull { .. }) => "no: its max_running".to_owned(),
        Some(Blocked::QueueFull { .. }) => "no: the queue's max_running".to_owned(),
        Some(Blocked::LanePaused) => "no: paused".to_owned(),
        Some(Blocked::QueuePaused) => "no: the queue is paused".to_owned(),
        Some(Blocked::BackfillPaused | Blocked::BackfillFull { .. }) => {
            unreachable!("live work has no backfill")
        }
    };
    [
        book.queue().to_owned(),
        if own { "its own" } else { "the queue's" }.to_owned(),
        limits.rate.map_or_else(|| "-".to_owned(), per_period),
        or_dash(limits.rate.map(|rate| rate.burst)),
        or_dash(limits.max_running),
        limits.weight.to_string(),
        count(JobState::Available),
        count(JobState::Running),
        may_start,
    ]
}

fn per_period(Rate { rate, period_ms, .. }: Rate) -> String {
    match period_ms {
        1000 => format!("{rate}/s"),
        ms if ms % 1000 == 0 => format!("{rate}/{} s", ms / 1000),
        ms => format!("{rate}/{ms} ms"),
    }
}
