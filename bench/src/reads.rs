//! Reads over HTTP from a process of the API, and the dashboard's pages, with ten million jobs in
//! the database.

mod paths;
mod scene;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use self::paths::{Part, Path, Who};
use self::scene::{BACKFILLS, EMAIL, JOBS, PASSWORD, Scene, TENANTS};
use super::api::Api;
use super::client::Client;
use super::report::{Report, median, percentile_ms};
use super::stage::Stage;

const CONNECTIONS: usize = 50;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(4);
/// Requests for each path.
const REQUESTS: u32 = 40;

pub(super) async fn run(stage: &Stage) -> anyhow::Result<Report> {
    let mut report = Report::new("reads");
    let scene = Scene::set(stage).await?;
    let api = Api::start(stage).await?;
    status(stage, &api, &mut report).await?;
    lists(stage, &scene, &api, &mut report).await?;
    report.setting("jobs", JOBS);
    report.setting("tenants", u64::try_from(TENANTS)?);
    report.setting("backfills", BACKFILLS);
    report
        .setting("status", json!({"connections": CONNECTIONS, "rounds": ROUNDS, "seconds": ROUND.as_secs()}));
    report.setting("requests_per_path", REQUESTS);
    Ok(report)
}

/// Single jobs, drawn from all of them.
async fn status(stage: &Stage, api: &Api, report: &mut Report) -> anyhow::Result<()> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select id from queue.jobs tablesample system (2) order by hashtext(id::text) limit 100000",
    )
    .fetch_all(&stage.pool)
    .await?;
    let ids = Arc::new(ids);
    let (mut rates, mut p95s) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let mut asking = JoinSet::new();
        let begun = Instant::now();
        for number in 0..CONNECTIONS {
            let (ids, service) = (ids.clone(), api.service.clone());
            let mut client = Client::connect(api.address).await?;
            asking.spawn(async move {
                let mut took = Vec::new();
                // Each has its own part of them.
                let first = (round * CONNECTIONS + number) * ids.len() / (ROUNDS * CONNECTIONS);
                for id in ids.iter().cycle().skip(first) {
                    let asked = Instant::now();
                    if asked - begun > ROUND {
                        break;
                    }
                    client.get(&format!("/internal/jobs/{id}"), &service).await?;
                    took.push(asked.elapsed());
                }
                anyhow::Ok(took)
            });
        }
        let mut took = Vec::new();
        while let Some(of_one) = asking.join_next().await {
            took.extend(of_one??);
        }
        rates.push(f64::from(u32::try_from(took.len())?) / begun.elapsed().as_secs_f64());
        p95s.push(percentile_ms(&mut took, 95));
    }
    report.figure("status_per_s", median(rates));
    report.figure("status_p95_ms", median(p95s));
    Ok(())
}

/// The p95 of each path; a figure has the worst of its paths.
async fn lists(stage: &Stage, scene: &Scene, api: &Api, report: &mut Report) -> anyhow::Result<()> {
    let newest: i64 = sqlx::query_scalar("select max(seq) from queue.jobs").fetch_one(&stage.pool).await?;
    let mut client = Client::connect(api.address).await?;
    let person = client.sign_in(EMAIL, PASSWORD).await?;
    let mut worst: BTreeMap<&'static str, f64> = BTreeMap::new();
    let mut paths_ms: BTreeMap<String, f64> = BTreeMap::new();
    for path in paths::paths(stage, scene).await? {
        let credential = match path.by {
            Who::Service => &api.service,
            Who::Tenant => &scene.api_key,
            Who::Person => &person,
        };
        let mut took = Vec::new();
        for n in 0..REQUESTS {
            let path = at(&path, newest * i64::from(n + 1) / i64::from(REQUESTS + 1));
            let asked = Instant::now();
            client.get(&path, credential).await?;
            took.push(asked.elapsed());
        }
        let p95 = percentile_ms(&mut took, 95);
        let part = match path.part {
            Part::List => "list_p95_ms",
            Part::Deep => "deep_page_p95_ms",
            Part::Overview => "overview_p95_ms",
            Part::Page => "page_p95_ms",
        };
        for figure in [path.figure, part] {
            let worst = worst.entry(figure).or_default();
            *worst = worst.max(p95);
        }
        paths_ms.insert(format!("{} {:?}", path.path, path.part), (p95 * 100.0).round() / 100.0);
    }
    for (figure, p95) in worst {
        report.figure(figure, p95);
    }
    report.setting("paths_p95_ms", json!(paths_ms));
    Ok(())
}

/// The path of a page that begins below `seq`, if pages are far down.
fn at(path: &Path, seq: i64) -> String {
    match path.part {
        Part::Deep => format!("{}&cursor={}", path.path, hex::encode(seq.to_string())),
        Part::List | Part::Overview | Part::Page => path.path.clone(),
    }
}
