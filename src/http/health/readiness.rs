//! Whether a job that comes in now would be stored.

use std::time::{Duration, Instant};

use sqlx::PgPool;
use sqlx::migrate::Migrate;
use tokio::sync::Mutex;
use tokio::time::timeout;
use weirgate_web::history::History;
use weirgate_web::problem::Problem;

/// How long it may take to find out.
const LIMIT: Duration = Duration::from_secs(2);

/// For so long the last answer is given again, so that those who ask all the time cost nothing.
const KEPT: Duration = Duration::from_secs(1);

/// Yes, or why not.
pub(crate) type Readiness = Result<(), NotReady>;

/// What is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotReady {
    /// It does not answer in time, or not as it should.
    Silent,
    /// It takes no writes, as somebody has set it so.
    ReadOnly,
    /// It takes no writes, as it follows another server.
    Standby,
    /// Its schema is older than this program.
    NotMigrated,
}

impl From<NotReady> for Problem {
    fn from(why: NotReady) -> Self {
        let (code, title, detail) = match why {
            NotReady::Silent => {
                ("database_unavailable", "Database unavailable", "the database does not answer in time")
            }
            NotReady::ReadOnly => (
                "database_read_only",
                "Database read-only",
                "the database takes no writes: its administrator has set it to read-only",
            ),
            NotReady::Standby => (
                "database_read_only",
                "Database read-only",
                "the database is a standby and takes no writes until it is promoted; connect the service to the primary",
            ),
            NotReady::NotMigrated => (
                "database_not_migrated",
                "Database not migrated",
                "the database lacks migrations of this version; `weirgate migrate up` applies them",
            ),
        };
        Self::unavailable(code, title, detail)
    }
}

/// The last answer, and its time.
#[derive(Debug, Default)]
pub(crate) struct LatestReadiness(Mutex<Option<(Instant, Readiness)>>);

impl LatestReadiness {
    /// The last answer where it is fresh; else that of `ask`, for all who wait for it together.
    pub(crate) async fn or(&self, ask: impl Future<Output = Readiness>) -> Readiness {
        let mut latest = self.0.lock().await;
        if let Some((at, readiness)) = *latest
            && at.elapsed() < KEPT
        {
            return readiness;
        }
        let readiness = timeout(LIMIT, ask).await.unwrap_or(Err(NotReady::Silent));
        if let Err(why) = readiness {
            tracing::warn!(?why, "not ready");
        }
        *latest = Some((Instant::now(), readiness));
        readiness
    }
}

/// Asks in a transaction, as enqueues do.
pub(crate) async fn ask(pool: &PgPool, histories: &[History]) -> Readiness {
    read(pool, histories).await.unwrap_or_else(|error| {
        tracing::debug!(%error, "could not ask whether the database takes writes");
        Err(if is_unknown_table(&error) { NotReady::NotMigrated } else { NotReady::Silent })
    })
}

async fn read(pool: &PgPool, histories: &[History]) -> Result<Readiness, anyhow::Error> {
    let mut tx = pool.begin().await?;
    let database = sqlx::query!(
        r#"select pg_is_in_recovery() as "standby!", current_setting('transaction_read_only')::boolean as "read_only!""#
    )
    .fetch_one(&mut *tx)
    .await?;
    let mut is_migrated = true;
    for history in histories {
        let applied = tx.list_applied_migrations(&history.migrator.table_name).await?;
        is_migrated &= history.ups().all(|(version, _)| applied.iter().any(|it| it.version == version));
    }
    tx.rollback().await?;
    Ok(if database.standby {
        Err(NotReady::Standby)
    } else if database.read_only {
        Err(NotReady::ReadOnly)
    } else if !is_migrated {
        Err(NotReady::NotMigrated)
    } else {
        Ok(())
    })
}

/// No migration has ever been applied.
fn is_unknown_table(error: &anyhow::Error) -> bool {
    let database = error.chain().find_map(|it| it.downcast_ref::<sqlx::Error>()?.as_database_error());
    database.and_then(sqlx::error::DatabaseError::code).as_deref() == Some("42P01")
}
