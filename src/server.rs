//! The API role: serves HTTP until told to stop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use weirgate_queue::read::watch::Watcher;
use weirgate_web::parts::Parts;
use weirgate_web::{WebConfig, connections};

use crate::config::Config;
use crate::domains::Domains;
use crate::http::{Api, monitoring_router, router};
use crate::metrics::{Work, listener};
use crate::open_files;
use crate::traces::{Role, Traces};

/// How often jobs that somebody follows are looked at.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// How often what has expired is deleted.
const PRUNE_INTERVAL: Duration = Duration::from_mins(10);

/// Where the API listens.
#[derive(Debug)]
pub struct Listeners {
    /// For callers.
    pub api: TcpListener,
    /// For monitoring alone, where that has one of its own.
    pub metrics: Option<TcpListener>,
}

/// What the API serves.
#[derive(Debug)]
pub struct Served {
    /// The database.
    pub pool: PgPool,
    /// What their handlers need.
    pub parts: Parts,
    /// The domains that are served.
    pub domains: Domains,
}

/// Opens the addresses to listen on; port 0 picks a free one.
///
/// # Errors
/// When one is taken or not this machine's.
pub async fn bind(config: &Config) -> anyhow::Result<Listeners> {
    let api = TcpListener::bind(config.listen).await.with_context(|| {
        format!("cannot listen on {}; set WEIRGATE_LISTEN to another address", config.listen)
    })?;
    Ok(Listeners { api, metrics: listener::bind(config).await? })
}

/// Serves until `shutdown`; requests under way may end.
///
/// # Errors
/// When spans cannot be sent where the settings say.
pub async fn run(
    listeners: Listeners,
    Served { pool, parts, domains }: Served,
    config: &Config,
    service_token: String,
    work: Option<Work>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let traces = Traces::start(config, Role::Api)?;
    let api = Api::new(
        pool.clone(),
        parts,
        domains.list(),
        Watcher::start(pool, WATCH_INTERVAL),
        WebConfig {
            service_token,
            service_token_next: config.next_service_token()?,
            trusted_proxies: config.trusted_proxies.clone(),
            public_url: config.public_url.clone(),
            listen: Some(listeners.api.local_addr().context("the address that is listened on")?),
            requests_per_second: config.requests_per_second,
            burst: config.request_burst,
            secret_keys: config.secret_keys.clone(),
            traces: traces.clone().map(|traces| Arc::new(traces) as Arc<dyn weirgate_web::traces::Traces>),
        },
    );
    let jobs = work.as_ref().map_or(0, Work::jobs_at_once);
    let api = match work {
        Some(work) => api.with_work(work),
        None => api,
    };
    let closing = {
        let (api, shutdown) = (&api, &shutdown);
        async move {
            shutdown.cancelled().await;
            api.close();
        }
    };
    let room = open_files::room(config, jobs);
    let served = async {
        let served = connections::serve(listeners.api, router(api.clone()), room, shutdown.clone());
        tokio::join!(served, closing);
    };
    // A client that keeps its connection busy must not hold the stop up.
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    };
    let monitored = async {
        listener::serve(listeners.metrics, monitoring_router(api.clone()), shutdown.clone()).await;
        // Its end is not the API's.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = monitored => {}
        () = prune(&api) => {}
        () = served => {}
        () = overdue => {}
    }
    if let Some(traces) = traces {
        traces.close().await;
    }
    Ok(())
}

/// Never ends.
async fn prune(api: &Api) {
    loop {
        tokio::time::sleep(PRUNE_INTERVAL).await;
        if let Err(error) = api.prune().await {
            tracing::warn!(%error, "could not delete what has expired; trying again");
        }
    }
}
