//! `up`, `serve` and `worker`: processes that stay.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use weirgate_identity::platform;
use weirgate_queue::private::Sealing;
use weirgate_queue::schedule::Schedules;
use weirgate_queue::worker::Retention;
use weirgate_queue::{Registry, WorkerConfig};

use super::confirm;
use super::session::Session;
use crate::config::Config;
use crate::database::{Database, Use};
use crate::domains::{self, Domains, Prepared};
use crate::metrics::{Metrics, Work, listener};
use crate::output::tell;
use crate::sealed::{self, WithoutKey};
use crate::server::{Listeners, Served};
use crate::signals::Stop;
use crate::traces::{Role, Traces};
use crate::{home, random, seed, server, systemd, worker};

/// API and worker on a private Postgres (or `DATABASE_URL`), until Ctrl-C or SIGTERM.
pub(super) async fn up(Session { config, domains, stop, .. }: Session) -> anyhow::Result<()> {
    config.next_service_token()?;
    home::make_for(&config)?;
    let prepared = domains.prepare(&config)?;
    let listeners = server::bind(&config).await?;
    let database = Database::start(&config, "up", Use::Exclusive, &stop).await?;
    let served = Box::pin(up_on(&config, &domains, &stop, &database, prepared, listeners));
    let ended = database.hold(served).await;
    database.close().await?;
    ended
}

async fn up_on(
    config: &Config,
    domains: &Domains,
    stop: &Stop,
    database: &Database,
    prepared: Prepared,
    listeners: Listeners,
) -> anyhow::Result<()> {
    let ready = async {
        database.migrate(&domains::histories()).await?;
        if domains::reads_mock_data(config) { greet_tenants(config, database).await } else { Ok(()) }
    };
    stop.until_told(Box::pin(ready)).await?;
    let config = &sealed::unlock(&database.pool, config, WithoutKey::Make).await?;
    let token = match &config.service_token {
        Some(_) => config.required_service_token()?,
        None => random::text(),
    };
    let address = listeners.api.local_addr()?;
    tell!("API          http://{address}");
    tell!("docs         http://{address}/docs");
    tell!("dashboard    http://{address}/dashboard");
    if let Some(metrics) = &listeners.metrics {
        tell!("metrics      http://{}/metrics", metrics.local_addr()?);
    }
    greet_first_user(database).await?;
    if config.service_token.is_none() {
        tell!("SERVICE_TOKEN {token}   (made for this run; set it to keep it)");
        tell!("export SERVICE_TOKEN={token}");
    }
    let assigned = Assignment { domains, queues: None, schedules: domains.schedules() };
    serve_and_work(listeners, prepared, &database.pool, config, assigned, token, gently(stop, config)).await
}

/// Somebody must be able to sign in to the dashboard; the password is shown this once.
pub(super) async fn greet_first_user(database: &Database) -> anyhow::Result<()> {
    if let Some((user, password)) = platform::create_first(&database.pool, &mut random::generator()).await? {
        tell!("sign in      {}   password {password}   (shown this once)", user.email);
    }
    Ok(())
}

/// New tenants of the mock data get a key, which is shown this once.
async fn greet_tenants(config: &Config, database: &Database) -> anyhow::Result<()> {
    let mut first = None;
    for tenant in seed::seed(&database.pool, &config.mock_data_path, false, &mut random::generator()).await? {
        if let Some(key) = tenant.api_key {
            tell!("tenant       {}   API key {key}   (shown this once)", tenant.slug);
            first.get_or_insert(key);
        }
    }
    if let Some(key) = first {
        tell!("export API_KEY={key}");
    }
    Ok(())
}

/// What a worker is there for.
pub(super) struct Assignment<'a> {
    pub(super) domains: &'a Domains,
    /// These queues alone; all of the domains' when there are none.
    pub(super) queues: Option<BTreeSet<String>>,
    pub(super) schedules: Schedules,
}

/// Both roles in one process; when one ends, the other is stopped.
pub(super) async fn serve_and_work(
    listeners: Listeners,
    prepared: Prepared,
    pool: &PgPool,
    config: &Config,
    assigned: Assignment<'_>,
    token: String,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let (parts, domains) = (prepared.handlers(), assigned.domains.clone());
    let shown = Served { pool: pool.clone(), parts, domains };
    let app = prepared.with(pool.clone(), config.secret_keys.clone());
    let registry = Arc::new(assigned.domains.registry(app, assigned.queues.as_ref()));
    let work = work_of(&registry, config);
    let worker = Box::pin(run_worker(pool.clone(), registry, config, assigned.schedules, stop.clone()));
    let server = server::run(listeners, shown, config, token, Some(work), stop.clone());
    let worker = async {
        let ended = worker.await;
        stop.cancel();
        ended
    };
    let server = async {
        let ended = server.await;
        stop.cancel();
        ended
    };
    let ended = tokio::join!(worker, server);
    ended.0.and(ended.1)
}

/// The API alone.
pub(super) async fn serve(Session { config, domains, stop, .. }: Session) -> anyhow::Result<()> {
    let token = config.required_service_token()?;
    config.next_service_token()?;
    confirm::home(&config, &stop).await?;
    let parts = domains.handlers(&config)?;
    let listeners = server::bind(&config).await?;
    let database = Database::start(&config, "serve", Use::Shared, &stop).await?;
    let served = async {
        database.require_migrated(&domains::histories()).await?;
        let config = sealed::unlock(&database.pool, &config, WithoutKey::GoOn).await?;
        tracing::info!(address = %listeners.api.local_addr()?, "serving");
        let served = Served { pool: database.pool.clone(), parts, domains };
        // The address is open, and the database is there.
        systemd::ready();
        server::run(listeners, served, &config, token, None, gently(&stop, &config)).await
    };
    let ended = database.hold(served).await;
    database.close().await?;
    ended
}

/// A worker alone, of these queues alone where some are named.
pub(super) async fn worker(
    queues: &[String],
    Session { config, domains, stop, .. }: Session,
) -> anyhow::Result<()> {
    let queues = (!queues.is_empty()).then(|| domains.queues(queues)).transpose()?;
    confirm::home(&config, &stop).await?;
    let prepared = domains.prepare(&config)?;
    let monitoring = listener::bind(&config).await?;
    let database = Database::start(&config, "worker", Use::Shared, &stop).await?;
    let assigned = Assignment { domains: &domains, queues, schedules: domains.schedules() };
    let worked = Box::pin(worker_on(&config, &assigned, &stop, &database, prepared, monitoring));
    let ended = database.hold(worked).await;
    database.close().await?;
    ended
}

async fn worker_on(
    config: &Config,
    assigned: &Assignment<'_>,
    stop: &Stop,
    database: &Database,
    prepared: Prepared,
    monitoring: Option<TcpListener>,
) -> anyhow::Result<()> {
    database.require_migrated(&domains::histories()).await?;
    let config = &sealed::unlock(&database.pool, config, WithoutKey::GoOn).await?;
    let app = prepared.with(database.pool.clone(), config.secret_keys.clone());
    let registry = Arc::new(assigned.domains.registry(app, assigned.queues.as_ref()));
    let queues: Vec<_> = registry.queues().into_iter().collect();
    tracing::info!(queues = queues.join(", "), "working");
    let counters = assigned.domains.catalog().counters().to_vec();
    let metrics = Metrics::new(database.pool.clone(), Some(work_of(&registry, config)), counters);
    // To the end of the last job.
    let over = CancellationToken::new();
    let worker = async {
        let pool = database.pool.clone();
        let ended =
            run_worker(pool, registry, config, assigned.schedules.clone(), gently(stop, config)).await;
        over.cancel();
        ended
    };
    let monitored = listener::serve(monitoring, listener::router(metrics), over.clone());
    let (ended, ()) = tokio::join!(worker, monitored);
    ended
}

/// What the metrics of this process tell of its worker.
fn work_of(registry: &Registry, config: &Config) -> Work {
    Work { meter: registry.meter().clone(), concurrency: config.concurrency.clone() }
}

/// The worker of this process.
async fn run_worker(
    pool: PgPool,
    registry: Arc<Registry>,
    config: &Config,
    schedules: Schedules,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let traces = Traces::start(config, Role::Worker)?;
    let mut worker = worker_config(config, schedules);
    worker.tracer = traces.as_ref().map(Traces::of_runs);
    let ended = worker::run(pool, registry, worker, stop).await;
    if let Some(traces) = traces {
        traces.close().await;
    }
    ended
}

/// How it runs.
fn worker_config(config: &Config, schedules: Schedules) -> WorkerConfig {
    let mut worker =
        WorkerConfig::new(host_name(), env!("CARGO_PKG_VERSION"), random::generator().next_u64());
    worker.concurrency = config.concurrency.clone();
    worker.grace = config.grace;
    worker.lease = config.lease;
    worker.schedules = schedules;
    worker.sealing = config.secret_keys.clone().map(|keys| Arc::new(keys) as Arc<dyn Sealing>);
    worker.retention = Retention { finished: config.retention, discarded: config.discarded_retention };
    worker
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Cancelled by the first signal, or by the caller; what runs may end then. A second signal ends it
/// at once.
pub(super) fn gently(stop: &Stop, config: &Config) -> CancellationToken {
    let told = stop.told().child_token();
    let by_a_signal = stop.told().clone();
    // What is not over by then hangs.
    let longest = config.grace + Duration::from_secs(15);
    tokio::spawn(async move {
        by_a_signal.cancelled().await;
        tracing::info!("stopping: running jobs may end; a second signal stops at once");
        systemd::stopping(longest);
    });
    told
}
