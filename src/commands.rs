//! What each command does.

mod backfill;
mod backfills;
mod bulk;
mod demo;
mod demo_client;
mod enqueue;
mod jobs;
mod keys;
mod limits;
mod migrate;
mod queues;
mod roles;
mod schedules;
mod users;

use std::io;

use anyhow::Context;
use clap::CommandFactory;
use sqlx::PgPool;
use weirgate_jobs::Tenant;

use crate::bench;
use crate::cli::{Cli, Command, MockData};
use crate::config::Config;
use crate::database::Database;
use crate::logging;
use crate::mock_data::{self, Generate, Layout};
use crate::{random, seed};

/// Does what the command line says.
///
/// # Errors
/// What was wrong and what to do, for people.
pub async fn run(cli: Cli, config: Config) -> anyhow::Result<()> {
    let quiet = !matches!(cli.command, Command::Up | Command::Serve | Command::Worker);
    logging::start(&config, quiet);
    match cli.command {
        Command::Demo(options) => demo::run(options, config).await,
        Command::Up => roles::up(config).await,
        Command::Serve => roles::serve(config).await,
        Command::Worker => roles::worker(config).await,
        Command::Migrate(command) => migrate::run(command, &config).await,
        Command::Seed { fresh_keys } => run_seed(&config, fresh_keys).await,
        Command::Keys(command) => keys::run(command, &config).await,
        Command::Users(command) => users::run(command, &config).await,
        Command::Enqueue(options) => enqueue::run(options, &config).await,
        Command::Backfill(options) => backfill::run(options, &config).await,
        Command::Backfills(command) => backfills::run(command, &config).await,
        Command::Jobs(command) => jobs::run(command, &config).await,
        Command::Bench { scenario, minutes, json } => bench::run(scenario, minutes, json, config).await,
        Command::BenchWorker { slots } => bench::run_worker(&config, slots).await,
        Command::BenchServer => bench::run_server(config).await,
        Command::Schedules(command) => schedules::run(command, &config).await,
        Command::Queues(command) => queues::run(command, &config).await,
        Command::Limits(command) => limits::run(command, &config).await,
        Command::MockData(options) => run_mock_data(&options),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "weirgate", &mut io::stdout());
            Ok(())
        }
    }
}

async fn run_seed(config: &Config, fresh_keys: bool) -> anyhow::Result<()> {
    let database = Database::attach(config, "seed").await?;
    database.migrate().await?;
    let tenants =
        seed::seed(&database.pool, &config.mock_data_path, fresh_keys, &mut random::generator()).await?;
    for tenant in tenants {
        let key = tenant.api_key.as_deref().unwrap_or("(has a key already; --fresh-keys makes another)");
        println!("{}\t{}\t{key}", tenant.slug, tenant.id);
    }
    database.close().await
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
    println!("{}: {summary:?}", options.out.display());
    Ok(())
}

/// The tenant that somebody named on the command line.
pub(crate) async fn tenant(pool: &PgPool, slug_or_id: &str) -> anyhow::Result<Tenant> {
    Tenant::find(&mut *pool.acquire().await?, slug_or_id)
        .await?
        .with_context(|| format!("no tenant {slug_or_id:?}; `weirgate seed` makes those of tenants.json"))
}
