//! Which jobs: the filter of `jobs list` and `jobs bulk`.

use anyhow::Context;
use sqlx::PgPool;
use weirgate_identity::tenant::find_by_slug;
use weirgate_identity::{SYSTEM_SLUG, SYSTEM_TENANT};
use weirgate_queue::read::JobFilter;
use weirgate_web::day::take_day;

use super::tenant::tenant;
use crate::cli::Filter;

/// The jobs that were named on the command line.
pub(super) async fn job_filter(options: Filter, pool: &PgPool) -> anyhow::Result<JobFilter> {
    let tenant = match options.tenant.as_deref() {
        None => None,
        Some(SYSTEM_SLUG) => Some(SYSTEM_TENANT),
        Some(name) => Some(tenant(pool, name).await.context("--tenant")?.id),
    };
    let mut filter = JobFilter { tenant, ..unresolved(options) };
    find_by_slug(&mut *pool.acquire().await?, &mut filter).await?;
    Ok(filter)
}

/// The same, but for what only the database knows.
pub(super) fn unresolved(options: Filter) -> JobFilter {
    let mut args = options.arg.into_iter().collect();
    JobFilter {
        subject: take_day(options.date, &mut args),
        states: (!options.state.is_empty()).then_some(options.state),
        kind: options.kind,
        queue: options.queue,
        workflow: options.workflow,
        backfill: options.backfill,
        failure: options.failure,
        created_after: options.created_after,
        created_before: options.created_before,
        text: options.q,
        args,
        ..JobFilter::default()
    }
}
