//! The API role: serves HTTP until told to stop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use object_store::ObjectStore;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use weirgate_queue::watch::Watcher;

use crate::config::Config;
use crate::http::{Api, ApiConfig, router};

/// How often jobs that somebody follows are looked at.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// How often what has expired is deleted.
const PRUNE_INTERVAL: Duration = Duration::from_mins(10);

/// Opens the address to listen on; port 0 picks a free one.
///
/// # Errors
/// When the address is taken or not this machine's.
pub async fn bind(config: &Config) -> anyhow::Result<TcpListener> {
    TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}; WEIRGATE_LISTEN names another address", config.listen))
}

/// Serves until `shutdown`; requests under way may end.
///
/// # Errors
/// When the listener fails.
pub async fn run(
    listener: TcpListener,
    pool: PgPool,
    exports: Arc<dyn ObjectStore>,
    config: &Config,
    service_token: String,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let api = Api::new(
        pool.clone(),
        exports,
        Watcher::start(pool, WATCH_INTERVAL),
        ApiConfig {
            service_token,
            public_url: config.public_url.clone(),
            requests_per_second: config.requests_per_second,
            burst: config.request_burst,
        },
    );
    let closing = {
        let (api, shutdown) = (api.clone(), shutdown.clone());
        async move {
            shutdown.cancelled().await;
            api.close();
        }
    };
    let served = axum::serve(listener, router(api.clone())).with_graceful_shutdown(closing);
    // A client that keeps its connection busy must not hold the stop up.
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    };
    tokio::select! {
        () = prune(&api) => Ok(()),
        ended = served.into_future() => ended.context("serving HTTP"),
        () = overdue => Ok(()),
    }
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
