//! A database of its own for a measurement, migrated and dropped at the end.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::Value;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgPool};
use uuid::Uuid;

/// What the service gives to measure with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Connections to the server, made as the service makes its own. Their role must be allowed to
    /// create databases.
    pub server: PgPool,
    /// The folder below which a measurement keeps its files.
    pub home: PathBuf,
    /// The migrations of the service's schemas, each after those that it builds on.
    pub migrators: Vec<&'static Migrator>,
    /// Makes a generator that nobody can predict, for the keys of the API.
    pub random: fn() -> StdRng,
}

/// A database on the server, and a folder.
#[derive(Debug)]
pub struct Stage {
    setup: Setup,
    name: String,
    options: PgConnectOptions,
    pub(super) pool: PgPool,
    /// For files; empty at first, and removed at the end.
    pub(super) folder: PathBuf,
}

impl Stage {
    /// Makes the database and the folder.
    ///
    /// # Errors
    /// When one of them cannot be made, or the migrations fail.
    pub async fn open(setup: Setup) -> anyhow::Result<Self> {
        let name = format!("weirgate_bench_{}", Uuid::now_v7().simple());
        let folder = setup.home.join(&name);
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        sqlx::raw_sql(AssertSqlSafe(format!("create database {name}")))
            .execute(&setup.server)
            .await
            .context("making a database for the measurement")?;
        let options = (*setup.server.connect_options()).clone().database(&name);
        let pool = setup.server.options().clone().max_connections(24).connect_with(options.clone()).await?;
        let mut conn = pool.acquire().await?;
        for migrator in &setup.migrators {
            let migrated = migrator.run_direct(None, &mut *conn, false).await;
            migrated.context("migrating the measurement's database")?;
        }
        drop(conn);
        Ok(Self { setup, name, options, pool, folder })
    }

    /// Another database on the same server.
    pub(super) async fn beside(&self) -> anyhow::Result<Self> {
        Self::open(self.setup.clone()).await
    }

    /// Bytes for a key of the API.
    pub(super) fn secret(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        (self.setup.random)().fill_bytes(&mut bytes);
        bytes
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

    /// Drops the database and removes the folder.
    ///
    /// # Errors
    /// When the server refuses to drop it.
    pub async fn close(self) -> anyhow::Result<()> {
        self.pool.close().await;
        std::fs::remove_dir_all(&self.folder).ok();
        let drop = format!("drop database if exists {} with (force)", self.name);
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&self.setup.server).await?;
        Ok(())
    }
}

/// Tenants with ids from `first` on.
pub(super) fn tenants(first: u128, count: u128) -> Vec<Uuid> {
    (first..first + count).map(|n| Uuid::from_u128(n + 1)).collect()
}
