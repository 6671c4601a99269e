//! `jobs bulk`: one action on all jobs that a filter takes.

use anyhow::Context;
use serde_json::json;
use weirgate_jobs::{BulkJobs, BulkRefused, SYSTEM_SLUG, SYSTEM_TENANT, find_by_slug};
use weirgate_queue::bulk::BulkAction;
use weirgate_queue::enqueue;
use weirgate_queue::query::JobFilter;

use super::enqueue::report;
use super::tenant;
use crate::audit::Actor;
use crate::cli::{Bulk, BulkVerb};
use crate::database::Database;

pub(super) async fn run(options: Bulk, database: Database) -> anyhow::Result<()> {
    let (all, dry_run, wait) = (options.all, options.dry_run, options.wait);
    let action = match options.action {
        BulkVerb::Retry => BulkAction::Retry,
        BulkVerb::Cancel => BulkAction::Cancel,
        BulkVerb::Delete => BulkAction::Delete,
    };
    let bulk =
        BulkJobs::new(action, filter(options, &database).await?, all).map_err(|refused| match refused {
            BulkRefused::Unbounded => anyhow::anyhow!("{refused}: --all"),
            refused => refused.into(),
        })?;
    if dry_run {
        let count = bulk.count(&mut *database.pool.acquire().await?).await?;
        println!("{}{}", if count.exact { "" } else { "at least " }, count.count);
    } else {
        let mut tx = database.pool.begin().await?;
        let enqueued = enqueue(&mut tx, vec![bulk.job()?]).await?[0];
        if !enqueued.duplicate {
            let detail = json!({ "job": enqueued.id, "filter": bulk.filter });
            Actor::cli().note(&mut tx, &format!("jobs.{action}"), "all that match", &detail).await?;
        }
        tx.commit().await?;
        report(&database.pool, enqueued, wait).await?;
    }
    database.close().await
}

async fn filter(options: Bulk, database: &Database) -> anyhow::Result<JobFilter> {
    let tenant = match options.tenant.as_deref() {
        None => None,
        Some(SYSTEM_SLUG) => Some(SYSTEM_TENANT),
        Some(name) => Some(tenant(&database.pool, name).await.context("--tenant")?.id),
    };
    let mut filter = JobFilter {
        ids: None,
        states: (!options.state.is_empty()).then_some(options.state),
        kind: options.kind,
        queue: options.queue,
        tenant,
        workflow: options.workflow,
        backfill: options.backfill,
        failure: None,
        created_after: options.created_after,
        created_before: options.created_before,
        text: options.q,
        args: options.arg.into_iter().collect(),
        ..JobFilter::default()
    };
    find_by_slug(&mut *database.pool.acquire().await?, &mut filter).await?;
    Ok(filter)
}
