//! An ingest that its source tells to wait is snoozed: the attempt does not count, and it resumes
//! where it stopped.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weirgate_queue::{JobContext, JobError};

use super::seen;
use super::tally::Tally;
use super::turn::IngestTurn;
use crate::App;
use crate::sources::{Place, SourceError};

/// A read that has waited for so long gives up at the next wait, as the next night's read stands
/// behind it.
const DEADLINE: TimeDelta = TimeDelta::days(1);

/// What a job that came back so long after its time knows is too old to go on from, as after a
/// retry by hand.
const TOO_LATE: TimeDelta = TimeDelta::days(1);

/// A read that may be told to wait, over all the runs of an attempt.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) place: Option<Place>,
    pub(crate) tally: Tally,
    /// How many batches of what it has seen are stored.
    pub(crate) batches: i64,
    /// The turn in which it began: what it has met bears this number or a higher one.
    pub(crate) since: i64,
    began_at: Option<DateTime<Utc>>,
    /// Whether the job's checkpoint has a place, which must not outlive the read.
    is_continued: bool,
}

/// A read that waits, as the job's checkpoint.
#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    #[serde(flatten)]
    tally: Tally,
    place: Option<Place>,
    batches: i64,
    since: i64,
    attempt: u16,
    began_at: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl Read {
    /// The read of this run: the one that waited, or a new one.
    pub(crate) async fn of(ctx: &JobContext<App>, turn: &IngestTurn) -> Result<Self, JobError> {
        let new = |began_at| Self {
            place: None,
            tally: Tally::default(),
            batches: 0,
            since: turn.generation,
            began_at,
            is_continued: false,
        };
        let Some(run) = ctx.run() else { return Ok(new(None)) };
        // What another version has stored may be of another form: then the read begins anew.
        let stored = ctx.checkpoint::<Value>().await?.map(serde_json::from_value::<Waiting>);
        // A failed attempt begins anew: what its read knew may be what it failed for.
        let waited = |it: &Waiting| it.attempt == run.attempt && run.at - it.until < TOO_LATE;
        let Some(waited) = stored.and_then(Result::ok).filter(waited) else { return Ok(new(Some(run.at))) };
        let began_at = Some(waited.began_at);
        Ok(match waited.place {
            Some(place) if seen::is_known(ctx, turn, waited.since, waited.batches).await? => Self {
                place: Some(place),
                tally: waited.tally,
                batches: waited.batches,
                since: waited.since,
                began_at,
                is_continued: true,
            },
            _ => Self { is_continued: true, ..new(began_at) },
        })
    }

    /// How the run ends after the source's error, when what was read before it is stored.
    pub(crate) async fn end(
        self,
        ctx: &JobContext<App>,
        turn: &IngestTurn,
        tally: Tally,
        batches: i64,
        error: SourceError,
    ) -> JobError {
        match self.try_end(ctx, turn, tally, batches, error).await {
            Ok(end) | Err(end) => end,
        }
    }

    async fn try_end(
        self,
        ctx: &JobContext<App>,
        turn: &IngestTurn,
        tally: Tally,
        batches: i64,
        error: SourceError,
    ) -> Result<JobError, JobError> {
        let shown = error.to_string();
        let end = match error {
            SourceError::Throttled { retry_after, place, .. } => match (ctx.run(), self.began_at) {
                (Some(run), Some(began_at)) if run.at - began_at >= DEADLINE => {
                    let since = began_at.format("%F %R");
                    let message = format!(
                        "{shown} again, after waits since {since} UTC; a read gives up after a day of waiting. What it has read is stored"
                    );
                    JobError::discard("source_throttled", message)
                }
                (Some(run), Some(began_at)) => {
                    let until = run.at + TimeDelta::from_std(retry_after)?;
                    let attempt = run.attempt;
                    let waiting =
                        Waiting { tally, place, batches, since: self.since, attempt, began_at, until };
                    let mut tx = ctx.app.pool.begin().await?;
                    turn.keep_place(&mut tx, run, retry_after).await?;
                    ctx.checkpoint_in(tx, &waiting, waiting.tally.total.read, None, &shown).await?;
                    return Ok(JobError::snooze(retry_after));
                }
                _ => return Ok(JobError::snooze(retry_after)),
            },
            SourceError::Refused { .. } => JobError::discard("source_refused", error),
            SourceError::Unreadable { .. } => JobError::failed("source_unreadable", error),
        };
        self.forget(ctx, &tally).await?;
        Ok(end)
    }

    /// Takes the place out of the job's checkpoint, so that a retry of the job begins anew.
    pub(crate) async fn forget(&self, ctx: &JobContext<App>, tally: &Tally) -> Result<(), JobError> {
        if !self.is_continued {
            return Ok(());
        }
        leave(ctx, &tally.total, tally.total.read, "the read has failed").await
    }
}

async fn leave(
    ctx: &JobContext<App>,
    checkpoint: &impl Serialize,
    read: u64,
    message: &str,
) -> Result<(), JobError> {
    let tx = ctx.app.pool.begin().await?;
    ctx.checkpoint_in(tx, checkpoint, read, None, message).await
}
