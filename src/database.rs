//! The connection to the database: the one of `DATABASE_URL`, or the private one.

mod address;
mod pooler;
mod session;
mod sockets;
mod watch;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::task::JoinSet;
use weirgate_identity::audit::Actor;
use weirgate_private_postgres::{Options, PrivatePostgres};
use weirgate_web::history::History;

use self::address::Address;
use self::session::Settings;
use self::watch::Signs;
use crate::config::Config;
use crate::schema;
use crate::signals::{Interrupted, Stop};

pub use self::watch::hung_connections;

/// How long the first questions to the database may take.
const ANSWER: Duration = Duration::from_secs(10);

/// How long connections may take to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);

/// How a process uses the private Postgres of its home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Beside any other that shares it.
    Exclusive,
    /// Beside all others.
    Shared,
}

/// A database that is there for as long as this lives.
#[derive(Debug)]
pub struct Database {
    /// Connections to it.
    pub pool: PgPool,
    private: Option<PrivatePostgres>,
    /// Closes connections that no longer answer.
    watch: JoinSet<()>,
}

impl Database {
    /// Connects to `DATABASE_URL`; without one, to the private Postgres under `home`, beside those
    /// that share it but not beside another that was opened like this.
    ///
    /// # Errors
    /// Says what is wrong and what to do.
    pub async fn open(config: &Config, command: &str) -> anyhow::Result<Self> {
        Self::start(config, command, Use::Exclusive, &Stop::default()).await
    }

    /// Connects to `DATABASE_URL`, or to the private Postgres under `home`, which is started unless
    /// it runs.
    ///
    /// # Errors
    /// Says what is wrong and what to do; `Interrupted` when told to stop meanwhile.
    pub(crate) async fn start(
        config: &Config,
        command: &str,
        using: Use,
        stop: &Stop,
    ) -> anyhow::Result<Self> {
        let mut settings = Settings::new(config.lease, statement_limit(command));
        let signs = Arc::new(Signs::default());
        let (pool, private) = if let Some(url) = &config.database_url {
            let address: Address = url.parse()?;
            for (name, value) in &address.settings {
                settings.set(name, value);
            }
            let connected = async {
                let pool = connect(address.options, &settings, config, signs.clone()).await?;
                pooler::require_sessions(&pool, ANSWER).await?;
                Ok(pool)
            };
            (stop.until_told(Box::pin(connected)).await?, None)
        } else {
            loop {
                let private = Box::pin(private(config, command, using, stop)).await?;
                let connected = connect(private.service_options(), &settings, config, signs.clone());
                match stop.until_told(Box::pin(connected)).await {
                    Ok(pool) => break (pool, Some(private)),
                    Err(error) if private.pid().is_some() || error.is::<Interrupted>() => {
                        private.stop().await?;
                        return Err(error);
                    }
                    // It has just ended, and its owner starts it again; or there is another owner.
                    Err(error) => tracing::debug!("the server of another command has gone: {error:#}"),
                }
            }
        };
        let watch = watch::start(pool.clone(), signs);
        Ok(Self { pool, private, watch })
    }

    /// Brings the schemas up to date; returns how many migrations that took. Several may do so at
    /// once.
    ///
    /// # Errors
    /// When a migration fails, an applied one has changed since, or the database is of the old
    /// history.
    pub async fn migrate(&self, histories: &[History]) -> anyhow::Result<usize> {
        let steps = schema::bring_up_to_date(&self.pool, histories).await?;
        if !steps.is_empty() {
            let mut conn = self.pool.acquire().await?;
            for step in &steps {
                Actor::cli()
                    .note_migration(&mut conn, "schema.up", step.schema, (step.from, step.to))
                    .await?;
            }
        }
        Ok(steps.iter().map(|step| step.migrations).sum())
    }

    /// Refuses a database whose schemas are older or newer than this program.
    ///
    /// # Errors
    /// Says what to run.
    pub async fn require_migrated(&self, histories: &[History]) -> anyhow::Result<()> {
        let mut conn = self.pool.acquire().await?;
        schema::refuse_old_history(&mut conn).await?;
        let pending = schema::pending(&mut conn, histories).await?;
        if pending > 0 {
            bail!("the database lacks {pending} migration(s): run `weirgate migrate up` first");
        }
        Ok(())
    }

    /// Does `work` for as long as there is a database.
    ///
    /// # Errors
    /// Those of `work`; and when the private Postgres has ended and cannot be started again, why,
    /// with the end of its log.
    pub async fn hold<T>(&self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        let lost = async {
            match &self.private {
                Some(private) => private.lost().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = work => ended,
            why = lost => Err(why),
        }
    }

    /// Closes the connections and stops the private Postgres, unless others use it.
    ///
    /// # Errors
    /// When Postgres does not stop.
    pub async fn close(mut self) -> anyhow::Result<()> {
        self.watch.shutdown().await;
        // A connection whose query was given up comes back only when Postgres answers it, which may
        // be never.
        if tokio::time::timeout(CLOSE_LIMIT, self.pool.close()).await.is_err() {
            tracing::warn!("left a connection that still waited for the database");
        }
        match self.private {
            Some(private) => private.stop().await,
            None => Ok(()),
        }
    }
}

async fn private(config: &Config, command: &str, using: Use, stop: &Stop) -> anyhow::Result<PrivatePostgres> {
    let mut options = Options::new(&config.home);
    options.bin_dir.clone_from(&config.pg_bin);
    options.command = format!("weirgate {command}");
    options.started = started_at();
    options.exclusive = using == Use::Exclusive;
    options.stop = stop.told().clone();
    PrivatePostgres::start(options).await.map_err(|error| {
        if error.is::<weirgate_private_postgres::Interrupted>() { Interrupted.into() } else { error }
    })
}

/// How long Postgres may work on one statement of a process: longer than the answer to a request
/// may take for those that only answer requests, and as long as an attempt at a job may take for
/// those that run jobs. Who runs a command waits as long as they like.
fn statement_limit(command: &str) -> Option<Duration> {
    match command {
        "serve" => Some(Duration::from_mins(2)),
        "worker" | "up" => Some(Duration::from_mins(15)),
        _ => None,
    }
}

async fn connect(
    options: PgConnectOptions,
    settings: &Settings,
    config: &Config,
    signs: Arc<Signs>,
) -> anyhow::Result<PgPool> {
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let options = session::plain(options);
    let pool = session::pool_options(settings, signs)?
        .max_connections(config.db_connections)
        .connect_with(options.clone())
        .await;
    let pool = match pool {
        // The pool goes on trying; what it met is what one connection meets.
        Err(sqlx::Error::PoolTimedOut) => Err(Box::pin(why_not(&options)).await),
        pool => pool.map_err(anyhow::Error::from),
    };
    pool.with_context(|| format!("cannot connect to the database at {place}"))
}

/// What keeps one connection from being made.
async fn why_not(options: &PgConnectOptions) -> anyhow::Error {
    match tokio::time::timeout(ANSWER, PgConnection::connect_with(options)).await {
        Ok(Ok(_)) => anyhow!("it took longer than {} seconds", session::PATIENCE.as_secs()),
        Ok(Err(sqlx::Error::Io(error))) if error.kind() == ErrorKind::ConnectionRefused => {
            anyhow!(
                "nothing listens there: the connection was refused. Is Postgres running, and is that its address and port?"
            )
        }
        Ok(Err(error)) => error.into(),
        Err(_) => anyhow!(
            "no answer in {} seconds: is that its address, and does a firewall let us pass?",
            ANSWER.as_secs()
        ),
    }
}

/// Only for people who ask who holds a folder.
#[expect(clippy::disallowed_methods, reason = "the wall clock of this host is what such people read")]
fn started_at() -> String {
    chrono::Utc::now().format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
