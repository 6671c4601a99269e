//! The connection to the database: the one of `DATABASE_URL`, or the private one.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::{Connection, PgConnection, PgPool};

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::config::Config;
use crate::postgres::{Options, PrivatePostgres};
use crate::schema;

/// The schema's history.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// Postgres' setting for how long a transaction may do nothing.
const IDLE_LIMIT: &str = "idle_in_transaction_session_timeout";

/// How Postgres is to plan what the program asks.
///
/// Compiling a plan takes longer than running it: one day's KPIs over a million tickets, 0.5 s with and 0.1 s without. A plan is made
/// once and kept. Made while a table is small, it would walk over that table, or sort all that an index finds to take the first of it,
/// and still do so when the table has grown by hundreds of thousands of rows, until statistics are renewed. All that we ask for has an
/// index, and that has the order.
pub const PLANNER: [(&str, &str); 3] =
    [("jit", "off"), ("enable_seqscan", "off"), ("enable_bitmapscan", "off")];

/// For so long a connection that is not in use is taken to be there.
const FRESH: Duration = Duration::from_secs(1);

/// How long connections may take to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);

/// A database that is there for as long as this lives.
#[derive(Debug)]
pub struct Database {
    /// Connections to it.
    pub pool: PgPool,
    private: Option<PrivatePostgres>,
}

impl Database {
    /// Connects to `DATABASE_URL`; without one, starts the private Postgres under `home` and holds it.
    ///
    /// # Errors
    /// Says what is wrong and what to do.
    pub async fn open(config: &Config, command: &str) -> anyhow::Result<Self> {
        Self::start(config, command, true).await
    }

    async fn start(config: &Config, command: &str, exclusive: bool) -> anyhow::Result<Self> {
        if let Some(url) = &config.database_url {
            let options = PgConnectOptions::from_str(url).context("DATABASE_URL")?;
            return Ok(Self { pool: connect(options, config).await?, private: None });
        }
        let mut options = Options::new(&config.home);
        options.bin_dir.clone_from(&config.pg_bin);
        options.command = format!("weirgate {command}");
        options.started = started_at();
        options.exclusive = exclusive;
        loop {
            let private = PrivatePostgres::start(options.clone()).await?;
            match connect(private.connect_options("weirgate"), config).await {
                Ok(pool) => return Ok(Self { pool, private: Some(private) }),
                Err(error) if private.pid().is_some() => return Err(error),
                // The command whose server this is has just ended: start again, as the next owner or its guest.
                Err(error) => tracing::debug!("the server of another command has gone: {error:#}"),
            }
        }
    }

    /// Connects to `DATABASE_URL`, or to the private Postgres of a running `weirgate up`; where none runs, starts it
    /// for the time of this command.
    ///
    /// # Errors
    /// Says what is wrong and what to do.
    pub async fn attach(config: &Config, command: &str) -> anyhow::Result<Self> {
        Self::start(config, command, false).await
    }

    /// Brings the schema up to date; returns how many migrations that took. Several may do so at once.
    ///
    /// # Errors
    /// When a migration fails, or an applied one has changed since.
    pub async fn migrate(&self) -> anyhow::Result<usize> {
        schema::bring_up_to_date(&self.pool).await
    }

    /// Refuses a database whose schema is older or newer than this program.
    ///
    /// # Errors
    /// Says what to run.
    pub async fn require_migrated(&self) -> anyhow::Result<()> {
        let pending = pending_migrations(&self.pool).await?;
        if !pending.is_empty() {
            bail!("the database lacks {} migration(s): run `weirgate migrate up` first", pending.len());
        }
        Ok(())
    }

    /// Does `work` for as long as there is a database.
    ///
    /// # Errors
    /// Those of `work`; and when the private Postgres has ended and cannot be started again, why, with the end of its log.
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

    /// Closes the connections and stops the private Postgres, if it is ours.
    ///
    /// # Errors
    /// When Postgres does not stop.
    pub async fn close(self) -> anyhow::Result<()> {
        // A connection whose query was given up comes back only when Postgres answers it, which may be never.
        if tokio::time::timeout(CLOSE_LIMIT, self.pool.close()).await.is_err() {
            tracing::warn!("left a connection that still waited for the database");
        }
        match self.private {
            Some(private) => private.stop().await,
            None => Ok(()),
        }
    }
}

/// Versions that are known here and not applied there.
///
/// # Errors
/// When the database cannot be asked.
pub async fn pending_migrations(pool: &PgPool) -> anyhow::Result<Vec<i64>> {
    Ok(schema::pending(&mut *pool.acquire().await?).await?)
}

async fn connect(options: PgConnectOptions, config: &Config) -> anyhow::Result<PgPool> {
    let mut options = options.application_name("weirgate").options(PLANNER);
    // A process that stands still in a transaction holds the rows it locked. As long as its lease they are its own; then
    // others must get at its jobs, and at those that wait on them.
    if !options.get_options().is_some_and(|set| set.contains(IDLE_LIMIT)) {
        options = options.options([(IDLE_LIMIT, format!("{}s", config.lease.as_secs()))]);
    }
    let place = format!("{}:{}", options.get_host(), options.get_port());
    PgPoolOptions::new()
        .max_connections(config.db_connections)
        .acquire_timeout(Duration::from_secs(5))
        // One that was in use a moment ago is there: to ask it each time would cost every query a round trip.
        .test_before_acquire(false)
        .before_acquire(|conn, meta| {
            Box::pin(async move {
                if meta.idle_for >= FRESH {
                    conn.ping().await?;
                }
                Ok(true)
            })
        })
        .after_release(|conn, _| Box::pin(async { end_stray_transaction(conn).await.map(|()| true) }))
        .connect_with(options)
        .await
        .with_context(|| format!("cannot connect to the database at {place}"))
}

/// A `begin` that is dropped while it waits for its answer leaves a transaction that sqlx 0.9.0 does not know of
/// (launchbadge/sqlx#4393, mended after 0.9.0): what others did on that connection next would never be committed. A
/// handler that times out and an HTTP client that goes away both drop one.
async fn end_stray_transaction(conn: &mut PgConnection) -> sqlx::Result<()> {
    // This begins nothing, so it fails unless a transaction is open; in one that has failed, Postgres refuses it.
    match conn.begin_with("select").await {
        Err(sqlx::Error::BeginFailed) => Ok(()),
        Ok(stray) => stray.rollback().await,
        Err(error) => Err(error),
    }
}

/// Only for people who ask who holds a folder.
#[expect(clippy::disallowed_methods, reason = "the wall clock of this host is what such people read")]
fn started_at() -> String {
    chrono::Utc::now().format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
