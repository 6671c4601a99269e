//! The measurements of `weirgate bench` beside other job queues on Postgres, on one server and in
//! one run.

mod apalis;
mod awa;
mod graphile;
// Ours, to count alike.
#[path = "../../../bench/src/meter.rs"]
mod meter;
mod ours;
mod peer;
mod report;
mod river;
mod scenario;
mod server;
mod table;
mod work;
mod worker;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use self::ours::Program;
use self::report::Report;
use self::scenario::Scenario;
use self::server::Server;
use self::table::Results;

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything, for everyone
    All {
        /// A JSON line for each measurement; the table goes to standard error
        #[arg(long)]
        json: bool,
    },
    #[command(flatten)]
    One(One),
    /// A measurement of one peer, in the database of `DATABASE_URL`
    #[command(hide = true)]
    Measure { scenario: Scenario, peer: String },
    /// A worker process of one peer, until its standard input ends
    #[command(hide = true)]
    Worker { peer: String },
}

#[derive(Subcommand)]
enum One {
    /// What plain SQL does with minimal rows: the yardstick
    Floor(Options),
    /// 100,000 jobs worked off, by one and two worker processes
    Drain(Options),
    /// Enqueues a second: one by one, by ten producers, in bulk
    Enqueue(Options),
    /// From commit to start, with an idle worker
    Latency(Options),
    /// 5,000 jobs a second for a while
    Steady(Options),
    /// The same beside a transaction left open
    Pinned(Options),
    /// Draining beside many finished jobs
    History(Options),
    /// WAL and commits from enqueue to finish
    Wal(Options),
}

#[derive(clap::Args)]
struct Options {
    /// Only this one: weirgate or the name of a peer
    #[arg(long)]
    peer: Option<String>,
    /// A JSON line for each measurement; the table goes to standard error
    #[arg(long)]
    json: bool,
}

impl One {
    fn parts(self) -> (Scenario, Options) {
        match self {
            Self::Floor(options) => (Scenario::Floor, options),
            Self::Drain(options) => (Scenario::Drain, options),
            Self::Enqueue(options) => (Scenario::Enqueue, options),
            Self::Latency(options) => (Scenario::Latency, options),
            Self::Steady(options) => (Scenario::Steady, options),
            Self::Pinned(options) => (Scenario::Pinned, options),
            Self::History(options) => (Scenario::History, options),
            Self::Wal(options) => (Scenario::Wal, options),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::All { json } => compare(&Scenario::ALL, None, json).await,
        Command::One(one) => {
            let (scenario, Options { peer, json }) = one.parts();
            compare(&[scenario], peer.as_deref(), json).await
        }
        Command::Measure { scenario, peer } => {
            let report = scenario::measure(scenario, peer::named(&peer)?, &url()?).await?;
            println!("{}", serde_json::to_string(&report)?);
            // Without waiting for what the peer may still have running.
            std::process::exit(0)
        }
        Command::Worker { peer } => worker::run(peer::named(&peer)?, url()?).await,
    }
}

fn url() -> anyhow::Result<String> {
    std::env::var("DATABASE_URL").context("DATABASE_URL must name the database to measure in")
}

/// Measures ourselves and the peers, or one of them.
async fn compare(scenarios: &[Scenario], only: Option<&str>, json: bool) -> anyhow::Result<()> {
    let wanted = |name: &str| only.is_none_or(|only| only == name);
    if let Some(name) = only.filter(|name| *name != ours::NAME) {
        peer::named(name)?;
    }
    let program = Program::build().await?;
    let server = Server::open(&program).await?;
    let mut results = Results::default();
    for &scenario in scenarios {
        if wanted(ours::NAME) {
            let measured = program.measure(scenario, server.url()).await;
            keep(&mut results, scenario, ours::NAME, measured, json);
        }
        // The floor is plain SQL, and no one's in particular.
        for peer in peer::all().into_iter().filter(|it| wanted(it.name()) && scenario != Scenario::Floor) {
            let measured = server.measure(scenario, peer).await;
            keep(&mut results, scenario, peer.name(), measured, json);
        }
    }
    server.close().await?;
    if json {
        // For people who watch; the lines are for programs.
        eprintln!("{}", results.table());
    } else {
        println!("{}", results.table());
    }
    Ok(())
}

fn keep(results: &mut Results, scenario: Scenario, name: &str, measured: anyhow::Result<Report>, json: bool) {
    match &measured {
        Ok(report) if json => println!("{}", serde_json::to_string(report).expect("numbers and texts")),
        Ok(report) => eprintln!("{}, {name}: {}", scenario.name(), report.line()),
        Err(error) => eprintln!("{}, {name}: {error:#}", scenario.name()),
    }
    results.keep(scenario, name, measured.map_err(|error| format!("{error:#}")));
}
