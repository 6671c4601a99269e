//! What each connection is set to, and how a pool keeps them: the one way in which the program
//! connects.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use weirgate_queue::{PLANNER, is_deadline_exceeded, within};

use super::watch::Signs;

/// A client whose host has vanished keeps nothing for longer than this.
const VANISHED: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "20s"),
];

/// A process that stands still in a transaction, or whose connection does, holds the rows it locked
/// for so long at most, or for its lease where that is shorter. Nothing of ours pauses for so long
/// in a transaction that locks.
const STANDSTILL: Duration = Duration::from_secs(10);

/// How long somebody may wait for a connection.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// For so long a connection that is not in use is taken to be there.
const FRESH: Duration = Duration::from_secs(1);

/// How long a connection that nobody uses may take to show that it still answers; else it is
/// closed.
const ANSWER: Duration = Duration::from_secs(2);

/// Settings of each connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings(Vec<(String, String)>);

impl Settings {
    /// Of a process with that lease, whose statements may take that long.
    pub(super) fn new(lease: Duration, statement: Option<Duration>) -> Self {
        let mut settings = Self::default();
        for (name, value) in PLANNER.into_iter().chain(VANISHED) {
            settings.set(name, value);
        }
        let idle = STANDSTILL.min(lease);
        settings.set("idle_in_transaction_session_timeout", &format!("{}ms", idle.as_millis()));
        if let Some(statement) = statement {
            settings.set("statement_timeout", &format!("{}ms", statement.as_millis()));
        }
        settings
    }

    /// The last value counts.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// One statement for all of them.
    fn sql(&self) -> anyhow::Result<String> {
        let mut sql = String::from("select ");
        for (number, (name, value)) in self.0.iter().enumerate() {
            let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '.');
            if name.is_empty() || !name.chars().all(plain) {
                bail!("DATABASE_URL: options: {name:?} is no name of a setting");
            }
            let comma = if number > 0 { ", " } else { "" };
            let value = value.replace('\\', r"\\").replace('\'', "''");
            write!(sql, "{comma}set_config('{name}', E'{value}', false)")?;
        }
        Ok(sql)
    }
}

/// Options of a pool whose connections are set to `settings`. One that hangs is closed, and never
/// given to anybody.
pub(super) fn pool_options(settings: &Settings, signs: Arc<Signs>) -> anyhow::Result<PgPoolOptions> {
    let sql = settings.sql()?;
    let of_those_that_come_back = signs.clone();
    let options = PgPoolOptions::new()
        .acquire_timeout(PATIENCE)
        .after_connect(move |conn, _| {
            let sql = sql.clone();
            Box::pin(async move {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await?;
                Ok(())
            })
        })
        // One that was in use a moment ago is there: to ask it each time would cost every query a
        // round trip.
        .test_before_acquire(false)
        .before_acquire(move |conn, meta| {
            let signs = signs.clone();
            Box::pin(async move {
                if meta.idle_for >= FRESH {
                    in_time(&signs, conn.ping()).await?;
                }
                Ok(true)
            })
        })
        // Whoever waited too long for an answer gives its connection back unanswered.
        .after_release(move |conn, _| {
            let signs = of_those_that_come_back.clone();
            Box::pin(async move { in_time(&signs, end_stray_transaction(conn)).await.map(|()| true) })
        });
    Ok(options)
}

/// What a connection of the pool answers. That it does not is a sign for the watch.
async fn in_time(signs: &Signs, answer: impl Future<Output = sqlx::Result<()>>) -> sqlx::Result<()> {
    let asked = Instant::now();
    within(ANSWER, answer).await.inspect_err(|error| {
        if is_deadline_exceeded(error) {
            signs.silent_since(asked);
        }
    })
}

/// A pooler refuses parameters at the start of a connection that it does not know; those that sqlx
/// adds by itself are not needed.
pub(super) fn plain(options: PgConnectOptions) -> PgConnectOptions {
    options.application_name("weirgate").extra_float_digits(None)
}

/// A `begin` that is dropped while it waits for its answer leaves a transaction that sqlx 0.9.0
/// does not know of (launchbadge/sqlx#4393, mended after 0.9.0): what others did on that connection
/// next would never be committed. A handler that times out and an HTTP client that goes away both
/// drop one.
async fn end_stray_transaction(conn: &mut PgConnection) -> sqlx::Result<()> {
    // This begins nothing, so it fails unless a transaction is open; in one that has failed,
    // Postgres refuses it.
    match conn.begin_with("select").await {
        Err(sqlx::Error::BeginFailed) => Ok(()),
        Ok(stray) => stray.rollback().await,
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_counts_and_is_quoted() {
        let mut settings = Settings::new(Duration::from_secs(3), None);
        settings.set("jit", "on");
        settings.set("a.b", r"it's \ here");
        let sql = settings.sql().unwrap();
        assert!(sql.contains("set_config('idle_in_transaction_session_timeout', E'3000ms', false)"), "{sql}");
        assert!(
            sql.ends_with(r"set_config('jit', E'on', false), set_config('a.b', E'it''s \\ here', false)")
        );
        assert_eq!(sql.matches("'jit'").count(), 1, "{sql}");
        settings.set("a; drop table b", "");
        assert!(settings.sql().unwrap_err().to_string().contains("no name of a setting"));
    }
}
