//! Keeps the signing keys of access tokens in order: the next one is made a day before it signs,
//! and what is needed no longer is deleted.

use az::SaturatingAs;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::{SYSTEM_TENANT, signing_keys};
use weirgate_queue::schedule::{Definition, Missed, Schedule, Tick};
use weirgate_queue::{Job, JobContext, JobError, NewJob, enqueue};

use super::Operations;

/// Does so once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateSigningKeys {}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotatedSigningKeys {
    /// In a sentence.
    pub message: String,
    /// Keys that were made, by their names.
    pub made: Vec<String>,
    /// Keys whose private half was deleted, as they sign no longer.
    pub emptied: u64,
    /// Keys that were deleted, a month after their last token had ended.
    pub deleted: u64,
}

impl Job for RotateSigningKeys {
    const KIND: &'static str = "rotate_signing_keys";
    const QUEUE: &'static str = "system";
    type App = Operations;
    type Output = RotatedSigningKeys;

    async fn run(&self, ctx: &JobContext<Operations>) -> Result<RotatedSigningKeys, JobError> {
        let mut tx = ctx.app.pool.begin().await?;
        let made = match &ctx.app.secret_keys {
            Some(keys) => Some(signing_keys::ensure(&mut tx, keys).await?.made),
            None => None,
        };
        let signing_keys::Tidied { emptied, deleted } = signing_keys::tidy(&mut tx).await?;
        let message = match &made {
            None => {
                "No key was made: the worker has no WEIRGATE_SECRET_KEY to seal it with. Set it on every host"
                    .to_owned()
            }
            Some(made) => format!(
                "{} made, {} emptied as they sign no longer, {} deleted after their end",
                keys(made.len().saturating_as()),
                keys(emptied),
                keys(deleted)
            ),
        };
        let output = RotatedSigningKeys { message, made: made.unwrap_or_default(), emptied, deleted };
        ctx.finish_in(tx, &output).await?;
        Ok(output)
    }
}

/// `1 key`, `2 keys`.
fn keys(count: u64) -> String {
    if count == 1 { "1 key".to_owned() } else { format!("{count} keys") }
}

/// Every hour, where there is anything to do.
pub(super) struct Hourly;

impl Schedule for Hourly {
    fn definition(&self) -> Definition {
        Definition {
            name: RotateSigningKeys::KIND,
            description: "Makes the next signing key of access tokens a day before it signs, and deletes what is not needed any more",
            cron: "0 7 * * * *",
            time_zone: Some("UTC"),
            per_tenant: false,
            missed: Missed::One,
            missed_limit: 1,
        }
    }

    fn fire<'a>(
        &'a self,
        conn: &'a mut PgConnection,
        _tick: Tick,
    ) -> BoxFuture<'a, weirgate_queue::Result<Option<Uuid>>> {
        Box::pin(async move {
            if !signing_keys::is_upkeep_due(conn).await? {
                return Ok(None);
            }
            let job = NewJob::of(SYSTEM_TENANT, &RotateSigningKeys {})?;
            Ok(Some(enqueue(conn, vec![job]).await?[0].id))
        })
    }
}
