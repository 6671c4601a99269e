//! `weirgate bench`: what the engine and the service do, measured in a database of its own.
//!
//! The service gives a [`Setup`], on which a [`Stage`] is opened. [`measure`] plays a [`Scenario`]
//! on it and returns a [`Report`]: the figures, with the settings and the machine that they depend
//! on. What is measured as a process is the running program once more, under its own commands.

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
mod login;
mod meter;
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

pub use self::report::Report;
pub use self::stage::{Setup, Stage};
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
    /// People who sign in and use access tokens, and enqueues beside them
    Login,
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

/// Plays `scenario`. `minutes` are for [`Scenario::Pinned`].
///
/// # Errors
/// When the database breaks, or a part of the measurement did not do what it must.
pub async fn measure(scenario: Scenario, minutes: Option<f64>, stage: &Stage) -> anyhow::Result<Report> {
    let mut report = play(scenario, minutes, stage).await?;
    report.machine = stage.machine().await?;
    Ok(report)
}

async fn play(scenario: Scenario, minutes: Option<f64>, stage: &Stage) -> anyhow::Result<Report> {
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
        Scenario::Login => login::run(stage).await,
        Scenario::Latency => latency::run(stage).await,
        Scenario::Steady => steady::run(stage).await,
        Scenario::Pinned => pinned::run(stage, minutes.unwrap_or(pinned::MINUTES)).await,
        Scenario::Wal => wal::run(stage).await,
        Scenario::Kpi => kpi::run(stage).await,
        Scenario::Ingest => ingest::run(stage).await,
        Scenario::Footprint => footprint::run(stage).await,
    }
}
