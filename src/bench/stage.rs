//! A database of its own for a measurement, migrated and dropped at the end.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgPool};
use uuid::Uuid;

use crate::config::Config;
use crate::database::{Database, Use};
use crate::output::say;
use crate::signals::Stop;
use crate::{domains, schema};

pub(super) struct Stage {
    /// None where another stage on the same server has it.
    server: Option<Database>,
    /// Connections to the server, to make and drop databases.
    servers_pool: PgPool,
    name: String,
    options: PgConnectOptions,
    home: PathBuf,
    pub(super) pool: PgPool,
    /// For files; empty at first, and removed at the end.
    pub(super) folder: PathBuf,
}

impl Stage {
    /// On the private Postgres or the server of `DATABASE_URL`, whose role must be allowed to make databases.
    pub(super) async fn open(config: &Config, stop: &Stop) -> anyhow::Result<Self> {
        let server = Database::start(config, "bench", Use::Exclusive, stop).await?;
        let mut stage = Self::on(server.pool.clone(), config.home.clone()).await?;
        stage.server = Some(server);
        Ok(stage)
    }

    /// Another database on the same server.
    pub(super) async fn beside(&self) -> anyhow::Result<Self> {
        Self::on(self.servers_pool.clone(), self.home.clone()).await
    }

    async fn on(servers_pool: PgPool, home: PathBuf) -> anyhow::Result<Self> {
        let name = format!("weirgate_bench_{}", Uuid::now_v7().simple());
        let folder = home.join(&name);
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        sqlx::raw_sql(AssertSqlSafe(format!("create database {name}")))
            .execute(&servers_pool)
            .await
            .context("making a database for the measurement")?;
        let options = (*servers_pool.connect_options()).clone().database(&name);
        let pool = servers_pool.options().clone().max_connections(24).connect_with(options.clone()).await?;
        schema::apply(&mut *pool.acquire().await?, &domains::histories())
            .await
            .context("migrating the measurement's database")?;
        Ok(Self { server: None, servers_pool, name, options, home, pool, folder })
    }

    /// Connections of their own for one more part of the measurement, as another process has.
    pub(super) fn connections(&self) -> PgPool {
        self.connections_of(10)
    }

    pub(super) fn connections_of(&self, most: usize) -> PgPool {
        let most = u32::try_from(most).expect("few");
        self.pool.options().clone().max_connections(most).connect_lazy_with(self.options.clone())
    }

    /// For connections outside of any pool.
    pub(super) fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// For worker processes.
    pub(super) fn url(&self) -> String {
        self.options.to_url_lossy().to_string()
    }

    /// Nothing of what the last part left.
    pub(super) async fn clear(&self) -> anyhow::Result<()> {
        sqlx::raw_sql(
            "truncate queue.jobs, queue.claims, queue.lane_log, queue.view_checkpoints, queue.lanes, queue.queues, queue.backfills, queue.backfills_behind,
                 queue.workers, queue.waiters, queue.job_dependencies",
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What the figures depend on.
    pub(super) async fn machine(&self) -> anyhow::Result<BTreeMap<&'static str, Value>> {
        let mut machine = BTreeMap::new();
        machine.insert("cores", std::thread::available_parallelism()?.get().into());
        machine.insert("weirgate", env!("CARGO_PKG_VERSION").into());
        machine.insert("profile", if cfg!(debug_assertions) { "debug" } else { "release" }.into());
        for setting in ["server_version", "shared_buffers", "fsync", "synchronous_commit"] {
            let value: String =
                sqlx::query_scalar("select current_setting($1)").bind(setting).fetch_one(&self.pool).await?;
            machine.insert(setting, value.into());
        }
        Ok(machine)
    }

    pub(super) async fn close(self) -> anyhow::Result<()> {
        self.pool.close().await;
        std::fs::remove_dir_all(&self.folder).ok();
        let drop = format!("drop database if exists {} with (force)", self.name);
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&self.servers_pool).await?;
        match self.server {
            Some(server) => server.close().await,
            None => Ok(()),
        }
    }
}

/// Holds the server that measurements run on until its input ends, and says where it is.
///
/// # Errors
/// When there is none and none can be started.
pub async fn run_server(mut config: Config, stop: &Stop) -> anyhow::Result<()> {
    config.home = weirgate_private_postgres::home::prepare(&config.home)?.join("bench");
    let server = Database::start(&config, "bench-server", Use::Exclusive, stop).await?;
    let held = stop.until_told(async {
        say!("{}", server.pool.connect_options().to_url_lossy())?;
        tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await?;
        Ok(())
    });
    let held = held.await;
    server.close().await?;
    held
}

/// Tenants with ids from `first` on.
pub(super) fn tenants(first: u128, count: u128) -> Vec<Uuid> {
    (first..first + count).map(|n| Uuid::from_u128(n + 1)).collect()
}
