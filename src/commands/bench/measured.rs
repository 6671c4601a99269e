//! `bench`: a server to measure on, and what was found there.

use anyhow::ensure;
use sqlx::ConnectOptions as _;
use weirgate_bench::{Report, Scenario, Setup, Stage};
use weirgate_private_postgres::home;

use crate::commands::session::Session;
use crate::config::Config;
use crate::database::{Database, Use};
use crate::output::say;
use crate::signals::Stop;
use crate::{domains, random};

/// Measures `scenario` and prints what was found. `minutes` are for [`Scenario::Pinned`].
pub(in crate::commands) async fn run(
    scenario: Scenario,
    minutes: Option<f64>,
    json: bool,
    session: Session,
) -> anyhow::Result<()> {
    ensure!(minutes.is_none() || scenario == Scenario::Pinned, "--minutes is for `pinned` only");
    let (server, config) = open("bench", session.config, &session.stop).await?;
    let setup = Setup {
        server: server.pool.clone(),
        home: config.home,
        migrators: domains::histories().iter().map(|history| history.migrator).collect(),
        random: random::generator,
    };
    let measured = async {
        let stage = Stage::open(setup).await?;
        let measured = weirgate_bench::measure(scenario, minutes, &stage);
        let measured = session.stop.until_told(Box::pin(measured)).await;
        stage.close().await?;
        measured
    };
    let measured: anyhow::Result<Report> = measured.await;
    server.close().await?;
    let report = measured?;
    if json { say!("{}", report.json()) } else { say!("{report}") }
}

/// What a worker process of a measurement does, on connections as every worker has.
pub(in crate::commands) async fn run_worker(slots: usize, config: &Config) -> anyhow::Result<()> {
    ensure!(config.database_url.is_some(), "DATABASE_URL is not set");
    let database = Database::open(config, "bench-worker").await?;
    weirgate_bench::run_worker(database.pool.clone(), slots).await?;
    database.close().await
}

/// Holds the server that measurements run on until its input ends, and says where it is.
pub(in crate::commands) async fn run_server(session: Session) -> anyhow::Result<()> {
    let (server, _) = open("bench-server", session.config, &session.stop).await?;
    let held = session.stop.until_told(async {
        say!("{}", server.pool.connect_options().to_url_lossy())?;
        tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await?;
        Ok(())
    });
    let held = held.await;
    server.close().await?;
    held
}

/// The server of `DATABASE_URL`, or a private Postgres in a home of its own: what `up` keeps is in
/// another one, so that both can run.
async fn open(command: &str, mut config: Config, stop: &Stop) -> anyhow::Result<(Database, Config)> {
    config.home = home::prepare(&config.home)?.join("bench");
    let server = Database::start(&config, command, Use::Exclusive, stop).await?;
    Ok((server, config))
}
