//! What each command does.

mod audit;
mod backfill;
mod backfill_shown;
mod backfills;
mod bench;
mod blocking;
mod bulk;
mod clients;
mod confirm;
mod demo;
mod demo_client;
mod door;
mod enqueue;
mod failures;
mod filter;
mod follow;
mod identity;
mod job;
mod jobs;
mod keys;
mod limits;
mod migrate;
mod mock_days;
mod queues;
mod rejects;
mod remote;
mod roles;
mod schedules;
mod session;
mod table;
mod tenant;
mod tenants;
mod users;
mod workflows;

use anyhow::Context;
use clap::CommandFactory;
use weirgate_msp::mock_data::{self, Generate, Layout, Summary};

use self::blocking::blocking;
use self::session::Session;
use crate::cli::{Cli, Command, MockData};
use crate::config::Config;
use crate::database::Database;
use crate::domains::{self, Domains};
use crate::output::{self, say};
use crate::signals::Stop;
use crate::{logging, random, seed};

/// Does what the command line says, until a signal stops it.
///
/// # Errors
/// What was wrong and what to do, for people.
pub async fn run(cli: Cli, config: Config, stop: Stop) -> anyhow::Result<()> {
    let quiet = !matches!(cli.command, Command::Up | Command::Serve | Command::Worker { .. });
    logging::start(&config, quiet);
    let Cli { command, remote } = cli;
    let domains = Domains::of(&config)?;
    let run = async {
        let server = remote::server(remote, &command, &config, &stop).await?;
        let catalog = domains.catalog();
        let session = Session { config, domains, catalog, server, stop: stop.clone() };
        Box::pin(dispatch(command, session)).await
    };
    stop.until_hurried(Box::pin(run)).await
}

async fn dispatch(command: Command, session: Session) -> anyhow::Result<()> {
    match command {
        Command::Demo(options) => demo::run(options, session).await,
        Command::Up => roles::up(session).await,
        Command::Serve => Box::pin(roles::serve(session)).await,
        Command::Worker { queues } => roles::worker(&queues, session).await,
        Command::Migrate(command) => migrate::run(command, &session).await,
        Command::Seed { fresh_keys } => run_seed(&session, fresh_keys).await,
        Command::Keys(command) => keys::run(command, &session).await,
        Command::Users(command) => users::run(command, &session).await,
        Command::Clients(command) => clients::run(command, &session).await,
        Command::Identity(command) => identity::run(command, &session).await,
        Command::Enqueue(options) => enqueue::run(options, &session).await,
        Command::Backfill(options) => backfill::run(options, &session).await,
        Command::Backfills(command) => backfills::run(command, &session).await,
        Command::Workflows(command) => workflows::run(command, &session).await,
        Command::Jobs(command) => jobs::run(command, &session).await,
        Command::Failures { limit } => failures::run(limit, &session).await,
        Command::Rejects(options) => rejects::run(options, &session).await,
        Command::Audit(options) => audit::run(options, &session).await,
        Command::Tenants(command) => tenants::run(command, &session).await,
        Command::Bench { scenario, minutes, json } => bench::run(scenario, minutes, json, session).await,
        Command::BenchWorker { slots } => bench::run_worker(slots, &session.config).await,
        Command::BenchServer => bench::run_server(session).await,
        Command::Schedules(command) => schedules::run(command, &session).await,
        Command::Queues(command) => queues::run(command, &session).await,
        Command::Limits(command) => limits::run(command, &session).await,
        Command::MockData(options) => {
            // It writes for as long as it takes; what is there when it is stopped stays.
            session.stop.until_told(async { blocking(move || run_mock_data(&options)).await? }).await
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "weirgate", &mut script);
            output::write(&script)
        }
    }
}

async fn run_seed(session: &Session, fresh_keys: bool) -> anyhow::Result<()> {
    let seeded = async |database: &Database| {
        database.migrate(&domains::histories()).await?;
        let folder = &session.config.mock_data_path;
        for tenant in seed::seed(&database.pool, folder, fresh_keys, &mut random::generator()).await? {
            let key =
                tenant.api_key.as_deref().unwrap_or("(has a key already; --fresh-keys creates another)");
            say!("{}\t{}\t{key}", tenant.slug, tenant.id)?;
        }
        Ok(())
    };
    session.with_any_database("seed", seeded).await
}

fn run_mock_data(options: &MockData) -> anyhow::Result<()> {
    let layout = if options.json { Layout::Json } else { Layout::Jsonl };
    let summary = mock_data::generate(&Generate {
        out: options.out.clone(),
        tenants: options.tenants,
        tickets: options.tickets,
        time_entries: options.time_entries,
        surveys: options.surveys,
        alerts: options.alerts,
        days: options.days,
        until: options.until,
        seed: options.seed,
        bad_rows: options.bad_rows,
        layout,
        force: options.force,
    })
    .with_context(|| format!("writing mock data to {}", options.out.display()))?;
    let Summary { files, good_rows, bad_rows, bytes } = summary;
    let out = options.out.display();
    say!("wrote {files} files with {good_rows} good and {bad_rows} bad rows ({bytes} bytes) to {out}")?;
    say!("to use them: MOCK_DATA_PATH={out} weirgate seed")
}
