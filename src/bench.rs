//! `bench`: what the engine does, measured in a database of its own, printed with settings and machine.

mod api;
mod backfill;
mod client;
mod clock;
mod commits;
mod drain;
mod enqueue;
mod fairness;
mod fill;
mod fleet;
mod floor;
mod footprint;
mod history;
mod ingest;
mod kpi;
mod kpi_data;
mod lanes;
mod latency;
mod light;
mod limits;
pub mod meter;
mod noisy;
mod offer;
mod outcome;
mod pinned;
mod process;
mod reads;
mod report;
mod scale;
mod snapshots;
mod stage;
mod steady;
mod upstream;
mod wal;
mod work;

use clap::ValueEnum;

use crate::config::Config;
use crate::signals::Stop;

pub use self::stage::run_server;
pub use self::work::run_worker;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// One tenant with a huge backlog beside a hundred small ones; shares by weight
    Fairness,
    /// Rates and most-running over four worker processes
    Limits,
    /// What a claim costs with few and many lanes, free and throttled
    Lanes,
    /// Making and expanding ten million slices, and live work beside them
    Backfill,
    /// What plain SQL does with minimal rows: the yardstick
    Floor,
    /// 100,000 jobs of 50 tenants, by one and two worker processes
    Drain,
    /// Jobs that come in: one by one, ten at once, in bulk, over HTTP
    Enqueue,
    /// `drain` with ten million finished jobs kept
    History,
    /// `drain` with up to 8 worker processes and a backlog of up to ten million jobs
    Scale,
    /// A job's state from 50 connections, lists and overviews over HTTP, with ten million jobs
    Reads,
    /// One tenant's worst queries from 60 connections beside another's reads and enqueues
    Noisy,
    /// Single jobs at idle: from commit to start and to the end
    Latency,
    /// 5,000 jobs a second for a minute: time from end to end, backlog
    Steady,
    /// The same beside a transaction left open, and beside slow readers
    Pinned,
    /// Bytes of WAL and commits a job
    Wal,
    /// A year of KPIs of 20 tenants, as a backfill
    Kpi,
    /// A file of a million tickets
    Ingest,
    /// Memory of idle and busy processes, and how soon the API answers
    Footprint,
}

/// Measures `scenario` and prints it. `minutes` are for [`Scenario::Pinned`].
///
/// # Errors
/// When the database is not there, or breaks.
pub async fn run(
    scenario: Scenario,
    minutes: Option<f64>,
    json: bool,
    mut config: Config,
    stop: &Stop,
) -> anyhow::Result<()> {
    anyhow::ensure!(minutes.is_none() || scenario == Scenario::Pinned, "--minutes is for `pinned` only");
    // Apart from what `up` keeps, so that both can run.
    config.home = weirgate_private_postgres::home::prepare(&config.home)?.join("bench");
    let stage = stage::Stage::open(&config, stop).await?;
    let measured = stop.until_told(Box::pin(measure(scenario, minutes, &stage))).await;
    let machine = stage.machine().await;
    stage.close().await?;
    let mut report = measured?;
    report.machine = machine?;
    report.print(json)
}

async fn measure(
    scenario: Scenario,
    minutes: Option<f64>,
    stage: &stage::Stage,
) -> anyhow::Result<report::Report> {
    match scenario {
        Scenario::Fairness => fairness::run(stage).await,
        Scenario::Limits => limits::run(stage).await,
        Scenario::Lanes => lanes::run(stage).await,
        Scenario::Backfill => backfill::run(stage).await,
        Scenario::Floor => floor::run(stage).await,
        Scenario::Drain => drain::run(stage).await,
        Scenario::Enqueue => enqueue::run(stage).await,
        Scenario::History => history::run(stage).await,
        Scenario::Scale => scale::run(stage).await,
        Scenario::Reads => reads::run(stage).await,
        Scenario::Noisy => noisy::run(stage).await,
        Scenario::Latency => latency::run(stage).await,
        Scenario::Steady => steady::run(stage).await,
        Scenario::Pinned => pinned::run(stage, minutes.unwrap_or(pinned::MINUTES)).await,
        Scenario::Wal => wal::run(stage).await,
        Scenario::Kpi => kpi::run(stage).await,
        Scenario::Ingest => ingest::run(stage).await,
        Scenario::Footprint => footprint::run(stage).await,
    }
}
