//! `jobs bulk`: one action on all jobs that a filter takes.

use sqlx::PgPool;
use uuid::Uuid;
use weirgate_identity::audit::Actor;
use weirgate_queue::control::bulk::BulkAction;
use weirgate_queue::read::JobFilter;
use weirgate_queue::{Enqueued, enqueue};

use super::door::Door;
use super::enqueue::report;
use super::filter::{job_filter, unresolved};
use super::remote;
use crate::cli::{Bulk, BulkVerb};
use crate::operations::{BulkJobs, BulkRefused};
use crate::output::say;

pub(super) async fn run(options: Bulk, door: Door<'_>) -> anyhow::Result<()> {
    let Bulk { action, filter, all, dry_run, wait } = options;
    let (action, done) = match action {
        BulkVerb::Retry => (BulkAction::Retry, "retried"),
        BulkVerb::Cancel => (BulkAction::Cancel, "cancelled"),
        BulkVerb::Delete => (BulkAction::Delete, "deleted"),
    };
    let (id, duplicate) = match door {
        Door::Database(database) => {
            let bulk = checked(action, job_filter(filter, &database.pool).await?, all)?;
            if dry_run {
                let count = bulk.count(&mut *database.pool.acquire().await?).await?;
                return say_count(count.count, count.exact, done);
            }
            let enqueued = insert(&bulk, &database.pool).await?;
            (enqueued.id, enqueued.duplicate)
        }
        Door::Server(client) => {
            // Which tenant it is makes no difference to what is wrong.
            let tenant = filter.tenant.as_ref().map(|_| Uuid::nil());
            checked(action, JobFilter { tenant, ..unresolved(filter.clone()) }, all)?;
            if dry_run {
                let count = remote::jobs::count(client, action, &filter, all).await?;
                return say_count(count.count, count.exact, done);
            }
            let enqueued = remote::jobs::bulk(client, action, &filter, all).await?;
            (enqueued.id, enqueued.duplicate)
        }
    };
    report(door, id, duplicate, wait).await
}

fn checked(action: BulkAction, filter: JobFilter, all: bool) -> anyhow::Result<BulkJobs> {
    BulkJobs::new(action, filter, all).map_err(|refused| match refused {
        BulkRefused::Unbounded => {
            anyhow::anyhow!("no filter is given; add one, or --all for every job of every tenant")
        }
        refused => refused.into(),
    })
}

fn say_count(count: u64, exact: bool, done: &str) -> anyhow::Result<()> {
    let at_least = if exact { "" } else { "at least " };
    let jobs = if count == 1 { "job" } else { "jobs" };
    say!("{at_least}{count} {jobs} would be {done}")
}

async fn insert(bulk: &BulkJobs, pool: &PgPool) -> anyhow::Result<Enqueued> {
    let mut tx = pool.begin().await?;
    let actor = Actor::cli();
    let enqueued = enqueue(&mut tx, vec![bulk.job()?.enqueued_by(actor.name())]).await?[0];
    if !enqueued.duplicate {
        actor.note_bulk(&mut tx, (bulk.action, &bulk.filter), "all that match", enqueued.id).await?;
    }
    tx.commit().await?;
    Ok(enqueued)
}
