//! What the four ingests share: read a source row by row, set bad rows aside, upsert good ones in
//! batches.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use az::SaturatingAs;
use chrono_tz::Tz;
use count::count_rows;
use futures_util::TryStreamExt;
use rejects::Reject;
use seen::Seen;
use tally::Tally;
use tokio::task::{JoinError, JoinSet};
use tracing::Instrument;
use wait::Read;
use weirgate_identity::{Tenant, TenantRef, TenantSlug};
use weirgate_queue::{JobContext, JobError};

use crate::App;
use crate::sources::{Dataset, RowStream, SourceError, SourceRow, parse};

mod count;
mod rejects;
mod seen;
mod tally;
mod turn;
mod upsert;
mod wait;

pub(crate) use count::ingested_rows;
pub use tally::Ingested;

pub(crate) use turn::IngestTurn;
pub(crate) use upsert::Upsert;

/// Rows in one upsert.
const BATCH: usize = 1000;
/// Rejected rows that are kept a run; all are counted.
const MOST_REJECTS: u64 = 10_000;
/// Characters kept of a rejected row.
const CONTENT_CHARS: usize = 2000;

/// Good rows by key, so that the newer of two equal keys wins, and else the last, in one order for
/// all writers, so that they cannot deadlock.
struct Batch<R> {
    good: BTreeMap<(String, String), R>,
    bad: Vec<Reject>,
    /// Of this batch and all before it.
    tally: Tally,
}

/// What comes after a batch.
enum Next {
    Rows(Reader),
    End,
    Error(SourceError),
}

/// A source, and how far it is read.
struct Reader {
    rows: RowStream,
    slug: TenantSlug,
    zone: Tz,
    tally: Tally,
}

/// Reads the whole dataset of one tenant. Repeatable: ends with the same rows however often it
/// runs. Waits for its turn while another run ingests the same dataset. Rows before an error are
/// stored; a run that is told to wait goes on where it was.
pub(crate) async fn ingest<R: Upsert>(
    ctx: &JobContext<App>,
    named: &TenantRef,
) -> Result<Ingested, JobError> {
    let tenant = Tenant::of_job(&mut *ctx.app.pool.acquire().await?, ctx, named).await?;
    let turn = IngestTurn::wait(ctx, tenant.id, R::DATASET).await?;
    let zone = time_zone(&tenant)?;
    let read = Read::of(ctx, &turn).await?;
    // Before it is read, too: a file that is put in the place of another one may be away for a
    // moment.
    let was_there = is_there(ctx, tenant.slug.clone(), R::DATASET).await?;
    let rows = match &read.place {
        Some(place) => ctx.app.source.rows_from(&tenant.slug.0, R::DATASET, place),
        None => ctx.app.source.rows(&tenant.slug.0, R::DATASET),
    };
    let mut tally = read.tally.clone();
    let mut seen = Seen { since: read.since, batches: read.batches };
    let reader = Reader { rows, slug: tenant.slug.clone(), zone, tally: tally.clone() };
    // A task of its own, which ends with this one: the next batch is read and checked while one is
    // written.
    let mut ahead = JoinSet::new();
    ahead.spawn(reader.next::<R>().in_current_span());
    while let Some(batch) = next_batch(ctx, &mut ahead).await? {
        let (batch, next) = batch?;
        let before = std::mem::replace(&mut tally, batch.tally.clone()).total;
        let error = match next {
            Next::Rows(reader) => {
                ahead.spawn(reader.next::<R>().in_current_span());
                None
            }
            Next::End => None,
            Next::Error(error) => Some(error),
        };
        write(ctx, &turn, &mut seen, batch).await?;
        let total = &tally.total;
        count_rows(R::DATASET, total.accepted - before.accepted, total.rejected - before.rejected);
        if let Some(error) = error {
            return Err(read.end(ctx, &turn, tally, seen.batches, error).await);
        }
        ctx.progress(total.read, None, &format!("{} {}", total.read, R::DATASET)).await?;
    }
    if let Err(error) = tally.check() {
        read.forget(ctx, &tally).await?;
        return Err(error);
    }
    let mut tx = ctx.app.pool.begin().await?;
    turn.keep(&mut tx).await?;
    rejects::forget_earlier(&mut tx, &turn, read.since).await?;
    if tally.total.read > 0 || was_there && is_there(ctx, tenant.slug, R::DATASET).await? {
        seen.mark_others::<R>(&mut tx, &turn).await?;
    }
    ctx.finish_in(tx, &tally.total).await?;
    Ok(tally.total)
}

/// The next batch when it is read; at once an error when the job is cancelled, as the source may
/// let it wait for long.
async fn next_batch<T: 'static>(
    ctx: &JobContext<App>,
    ahead: &mut JoinSet<T>,
) -> Result<Option<Result<T, JoinError>>, JobError> {
    tokio::select! {
        biased;
        () = ctx.cancelled() => Err(JobError::Cancelled),
        batch = ahead.join_next() => Ok(batch),
    }
}

impl Reader {
    /// The next batch, also one that an error cut short, and what comes after it.
    async fn next<R: Upsert>(mut self) -> (Batch<R>, Next) {
        let mut batch = Batch { good: BTreeMap::new(), bad: Vec::new(), tally: self.tally };
        while batch.good.len() + batch.bad.len() < BATCH {
            match self.rows.try_next().await {
                Ok(Some(row)) => batch.take(row, &self.slug, self.zone),
                Ok(None) => return (batch, Next::End),
                Err(error) => return (batch, Next::Error(error)),
            }
        }
        self.tally = batch.tally.clone();
        (batch, Next::Rows(self))
    }
}

impl<R: Upsert> Batch<R> {
    fn take(&mut self, row: SourceRow, slug: &TenantSlug, zone: Tz) {
        let (reason, content) = match row.json {
            Err(reason) => (reason, None),
            Ok(text) => match parse::<R>(&text, &slug.0, zone) {
                Ok(good) => {
                    self.tally.accept(&row.origin);
                    self.keep(good);
                    return;
                }
                Err(reason) => (reason, Some(text.chars().take(CONTENT_CHARS).collect())),
            },
        };
        self.tally.reject(&row.origin, row.line, &reason);
        if self.tally.total.rejected <= MOST_REJECTS {
            let line = row.line.saturating_as::<i64>();
            self.bad.push(Reject { origin: row.origin.to_string(), line, reason, content });
        }
    }

    fn keep(&mut self, row: R) {
        let (first, second) = row.key();
        match self.good.entry((first.to_owned(), second.to_owned())) {
            Entry::Vacant(place) => {
                place.insert(row);
            }
            Entry::Occupied(mut place) => {
                let times = (row.updated_at(), place.get().updated_at());
                let is_older = matches!(times, (Some(new), Some(old)) if new < old);
                if !is_older {
                    place.insert(row);
                }
            }
        }
    }
}

/// Where the tenant's days begin and end, and which zone times without one are in.
fn time_zone(tenant: &Tenant) -> Result<Tz, JobError> {
    let Tenant { slug, time_zone, .. } = tenant;
    time_zone.parse().map_err(|_| {
        let why = format!("the time zone of {slug}, {time_zone:?}, is not an IANA name such as Europe/Berlin: set another one");
        JobError::discard("unknown_time_zone", why)
    })
}

/// Whether the source has the dataset at all: where it has not, nothing was read, so nothing can be
/// missing.
async fn is_there(ctx: &JobContext<App>, slug: TenantSlug, dataset: Dataset) -> Result<bool, JobError> {
    let app = ctx.app.clone();
    Ok(tokio::task::spawn_blocking(move || app.source.has(&slug.0, dataset)).await?)
}

async fn write<R: Upsert>(
    ctx: &JobContext<App>,
    turn: &IngestTurn,
    seen: &mut Seen,
    batch: Batch<R>,
) -> Result<(), JobError> {
    if batch.good.is_empty() && batch.bad.is_empty() {
        return Ok(());
    }
    let good: Vec<R> = batch.good.into_values().collect();
    // Not waited for until it is on disk: the commit that finishes the job is, and takes all before
    // it along; without that one the whole dataset is read again.
    let mut tx = ctx.app.pool.begin_with("begin; set local synchronous_commit = off").await?;
    turn.keep(&mut tx).await?;
    if seen.is_empty() {
        // From its first row on, what the last run rejected is what this one rejects.
        rejects::forget_earlier(&mut tx, turn, seen.since).await?;
    }
    R::upsert(&mut tx, turn, &good).await?;
    seen.add(&mut tx, turn, &good).await?;
    if !batch.bad.is_empty() {
        rejects::keep(&mut tx, turn, ctx.job_id(), batch.bad).await?;
    }
    tx.commit().await?;
    Ok(())
}
