//! `jobs bulk`: one action on all jobs that a filter takes.

use weirgate_jobs::{BulkJobs, BulkRefused};
use weirgate_queue::bulk::BulkAction;
use weirgate_queue::enqueue;

use super::enqueue::report;
use super::filter::job_filter;
use crate::audit::Actor;
use crate::cli::{Bulk, BulkVerb};
use crate::database::Database;
use crate::output::say;

pub(super) async fn run(options: Bulk, database: &Database) -> anyhow::Result<()> {
    let Bulk { action, filter, all, dry_run, wait } = options;
    let (action, done) = match action {
        BulkVerb::Retry => (BulkAction::Retry, "retried"),
        BulkVerb::Cancel => (BulkAction::Cancel, "cancelled"),
        BulkVerb::Delete => (BulkAction::Delete, "deleted"),
    };
    let filter = job_filter(filter, &database.pool).await?;
    let bulk = BulkJobs::new(action, filter, all).map_err(|refused| match refused {
        BulkRefused::Unbounded => anyhow::anyhow!("{refused}: --all"),
        refused => refused.into(),
    })?;
    if dry_run {
        let count = bulk.count(&mut *database.pool.acquire().await?).await?;
        let at_least = if count.exact { "" } else { "at least " };
        let jobs = if count.count == 1 { "job" } else { "jobs" };
        return say!("{at_least}{} {jobs} would be {done}", count.count);
    }
    let mut tx = database.pool.begin().await?;
    let actor = Actor::cli();
    let enqueued = enqueue(&mut tx, vec![bulk.job()?.enqueued_by(actor.name())]).await?[0];
    if !enqueued.duplicate {
        actor.note_bulk(&mut tx, &bulk, "all that match", enqueued.id).await?;
    }
    tx.commit().await?;
    report(&database.pool, enqueued, wait).await
}
