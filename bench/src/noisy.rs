//! One tenant sends the most expensive requests that it can, from many connections. Measured is
//! what becomes of another tenant's reads and enqueues.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::http::{HeaderValue, StatusCode};
use az::SaturatingAs;
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;
use weirgate_identity::keys;

use super::api::Api;
use super::client::{Client, Credential};
use super::fill::Past;
use super::report::{Report, median, percentile_ms};
use super::stage::{Stage, tenants};

/// Connections of the noisy tenant.
const CLIENTS: usize = 60;
const ROUNDS: usize = 3;
/// Each round has one half alone and one beside the noise.
const HALF: Duration = Duration::from_secs(8);
/// Between two requests of the other tenant's clients, who stay within what one key may ask.
const PAUSE: Duration = Duration::from_millis(25);
/// A noisy client that is refused tries again after this, which is sooner than `Retry-After` says.
const IMPATIENCE: Duration = Duration::from_millis(100);
const TICKETS: i32 = 600_000;
const TIME_ENTRIES: i32 = 200_000;
const JOBS: i64 = 500_000;

pub(super) async fn run(stage: &Stage) -> anyhow::Result<Report> {
    let [noisy, victim] = set(stage).await?;
    // With the usual limits: they are what is measured.
    let api = Api::with_usual_limits(stage).await?;
    let mut report = Report::new("noisy");
    let (mut alone, mut beside, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let counts = Arc::new(Counts::default());
    for round in 0..ROUNDS {
        let quiet = ask(&api, &victim).await?;
        let over = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let client = Client::connect(api.address).await?;
            clients.spawn(make_noise(client, noisy.clone(), number + round, over.clone(), counts.clone()));
        }
        // Its burst is part of it, its first moment is not.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let disturbed = ask(&api, &victim).await?;
        over.store(true, Ordering::Relaxed);
        while let Some(ended) = clients.join_next().await {
            ended??;
        }
        ratios.push(disturbed / quiet);
        alone.push(quiet);
        beside.push(disturbed);
    }
    report.figure("victim_p99_ratio", median(ratios));
    report.figure("victim_alone_p99_ms", median(alone));
    report.figure("victim_beside_p99_ms", median(beside));
    report.figure("noise_answered_per_s", per_s(&counts.answered));
    report.figure("noise_refused_per_s", per_s(&counts.refused));
    report.setting("tickets", TICKETS);
    report.setting("time_entries", TIME_ENTRIES);
    report.setting("jobs", JOBS);
    report.setting("noise", json!({"connections": CLIENTS, "after_refusal_ms": IMPATIENCE.as_millis()}));
    report.setting("victim", json!({"connections": 4, "pause_ms": PAUSE.as_millis()}));
    report.setting("rounds", json!({"count": ROUNDS, "seconds": [HALF.as_secs(), HALF.as_secs()]}));
    Ok(report)
}

/// What became of the noise.
#[derive(Default)]
struct Counts {
    answered: AtomicU64,
    refused: AtomicU64,
}

fn per_s(count: &AtomicU64) -> f64 {
    let count = count.load(Ordering::Relaxed).saturating_as::<u32>();
    f64::from(count) / (HALF.as_secs_f64() * f64::from(ROUNDS.saturating_as::<u32>()))
}

/// The noisy tenant's credential and the other one's.
async fn set(stage: &Stage) -> anyhow::Result<[Credential; 2]> {
    let tenants = tenants(0, 2);
    sqlx::query(
        "insert into identity.tenants (id, slug, name)
         select id, 'tenant_bench_' || n, 'Tenant ' || n from unnest($1) with ordinality as t (id, n)",
    )
    .bind(&tenants)
    .execute(&stage.pool)
    .await?;
    rows(stage, tenants[0], TICKETS, TIME_ENTRIES).await?;
    rows(stage, tenants[1], TICKETS / 100, TIME_ENTRIES / 100).await?;
    let kinds = [("ingest", "ingest_tickets", 500), ("kpi", "compute_kpi", 500)];
    stage
        .fill_past(&Past {
            jobs: JOBS,
            // Nine of ten are the noisy one's.
            tenants: &[vec![tenants[0]; 9], vec![tenants[1]]].concat(),
            kinds: &kinds,
            backfills: &[],
            last_day: None,
            live: false,
        })
        .await?;
    Ok([key(stage, tenants[0]).await?, key(stage, tenants[1]).await?])
}

async fn key(stage: &Stage, tenant: Uuid) -> anyhow::Result<Credential> {
    let key = keys::create(&mut *stage.pool.acquire().await?, tenant, "bench", stage.secret()).await?;
    Ok(("x-api-key".try_into()?, HeaderValue::try_from(key)?))
}

async fn rows(stage: &Stage, tenant: Uuid, tickets: i32, entries: i32) -> anyhow::Result<()> {
    sqlx::query(
        "insert into msp.raw_tickets (tenant_id, cw_ticket_id, status, priority, summary, created_at_remote, updated_at_remote)
         select $1, 'T-' || n, case n % 3 when 0 then 'New' else 'Closed' end, 'Low', 'A ticket of the bench',
             timestamptz '2025-01-01 00:00Z' + make_interval(secs => n * 50), timestamptz '2026-01-01 00:00Z'
         from generate_series(1, $2) n",
    )
    .bind(tenant)
    .bind(tickets)
    .execute(&stage.pool)
    .await?;
    sqlx::query(
        "insert into msp.raw_time_entries (tenant_id, cw_time_entry_id, cw_ticket_id, billable, minutes, date_worked)
         select $1, 'E-' || n, 'T-' || n, true, 15, date '2025-01-01' + n % 365 from generate_series(1, $2) n",
    )
    .bind(tenant)
    .bind(entries)
    .execute(&stage.pool)
    .await?;
    // Each alone: several in one text are one transaction.
    sqlx::raw_sql("vacuum (analyze) msp.raw_tickets").execute(&stage.pool).await?;
    sqlx::raw_sql("vacuum (analyze) msp.raw_time_entries").execute(&stage.pool).await?;
    Ok(())
}

/// The p99 of the other tenant's reads and enqueues, in milliseconds.
async fn ask(api: &Api, victim: &Credential) -> anyhow::Result<f64> {
    let mut asking = JoinSet::new();
    let begun = Instant::now();
    for path in ["/v1/tickets?status=New", "/v1/jobs?limit=20", "/v1/time-entries?limit=20", ""] {
        let (service, victim) = (api.service.clone(), victim.clone());
        let mut client = Client::connect(api.address).await?;
        asking.spawn(async move {
            let mut took = Vec::new();
            while begun.elapsed() < HALF {
                let asked = Instant::now();
                if path.is_empty() {
                    let enqueue = "/internal/ingest/csat?tenant_id=tenant_bench_2&force=true";
                    client.post(enqueue, &service).await?;
                } else {
                    client.get(path, &victim).await?;
                }
                took.push(asked.elapsed());
                tokio::time::sleep(PAUSE).await;
            }
            anyhow::Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(of_one) = asking.join_next().await {
        took.extend(of_one??);
    }
    Ok(percentile_ms(&mut took, 99))
}

/// What costs most of what one key may ask.
fn worst() -> Vec<String> {
    let args = |count: u32| (0..count).map(|n| format!("args.a{n}=1")).collect::<Vec<_>>().join("&");
    vec![
        "/v1/tickets?status=nope".to_owned(),
        "/v1/tickets?status=nope&limit=500&created_to=2025-06-30".to_owned(),
        "/v1/jobs?q=there+is+no+such+text&limit=500".to_owned(),
        format!("/v1/jobs?{}", args(50)),
        format!("/v1/jobs?{}", args(4_772)),
        "/v1/time-entries?limit=500".to_owned(),
        "/v1/tickets?limit=500".to_owned(),
        "/v1/jobs?limit=500".to_owned(),
    ]
}

/// Asks one after the other until it is over.
async fn make_noise(
    mut client: Client,
    noisy: Credential,
    first: usize,
    over: Arc<AtomicBool>,
    counts: Arc<Counts>,
) -> anyhow::Result<()> {
    let paths = worst();
    for path in paths.iter().cycle().skip(first % paths.len()) {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let status = client.status(path, &noisy).await?;
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            counts.refused.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(IMPATIENCE).await;
        } else {
            counts.answered.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}
