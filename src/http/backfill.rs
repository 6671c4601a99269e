//! The backfill resource: one shape in answers and lists.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use weirgate_queue::backfill::{Backfill, BackfillState};
use weirgate_web::backfill::{BackfillOrder, Reprocess};
use weirgate_web::domain::Catalog;
use weirgate_web::job::seconds_until;

use crate::http::schemas;

/// Whose days: `"all"` active tenants, or these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum TenantNames {
    Named(Vec<String>),
    All(All),
}

/// The word `all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum All {
    All,
}

/// What a backfill was asked to do.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct AskedFor {
    /// `"all"` that were active when it was made, or their slugs.
    #[schema(schema_with = schemas::backfill_tenants)]
    pub(crate) tenants: TenantNames,
    /// The first day, in each tenant's time zone.
    #[schema(example = "2026-01-01")]
    pub(crate) from: NaiveDate,
    /// The last day.
    #[schema(example = "2026-01-31")]
    pub(crate) to: NaiveDate,
    /// Which end comes first.
    #[schema(schema_with = schemas::backfill_order)]
    pub(crate) order: BackfillOrder,
    /// Which days: those without a result, those that failed and have none since, or all.
    #[schema(schema_with = schemas::backfill_reprocess)]
    pub(crate) reprocess: Reprocess,
    /// Slices of days that had not begun where the tenant is when the backfill was made. They are
    /// skipped, unless their day has begun when their turn comes.
    #[serde(default)]
    #[schema(required = true, example = 0)]
    pub(crate) future_days: u64,
}

/// Jobs for a range of days, which run behind live jobs. A slice is one tenant and day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Backfill)]
pub(crate) struct BackfillResource {
    /// A UUID of version 7.
    id: Uuid,
    /// What is done for each tenant and day.
    #[schema(schema_with = schemas::backfill_kind)]
    kind: String,
    #[schema(schema_with = schemas::backfill_state)]
    pub(crate) state: BackfillState,
    #[serde(flatten)]
    asked_for: AskedFor,
    /// Share of the workers that it may use while live jobs are available.
    #[schema(exclusive_minimum = 0, maximum = 1)]
    share: f64,
    /// Most of its jobs at once in a queue; null for any number.
    #[schema(required = true, minimum = 1)]
    max_running: Option<u32>,
    /// Of its jobs; higher first.
    #[schema(minimum = -100, maximum = 100)]
    priority: i16,
    /// Slices of the range.
    #[schema(example = 62)]
    total: u64,
    /// Slices that became jobs or were skipped so far. This runs ahead of the work by a bounded
    /// number.
    #[schema(example = 62)]
    expanded: u64,
    /// Slices without a job: nothing to do, or on their way already.
    #[schema(example = 2)]
    skipped: u64,
    /// Slices that are over: skipped, or their jobs are final.
    #[schema(example = 31)]
    done: u64,
    /// `done` of `total`, 0 to 1.
    #[schema(minimum = 0, maximum = 1, example = 0.5)]
    fraction: f64,
    /// Jobs that were made; a slice of a pipeline is several.
    #[schema(example = 60)]
    jobs: u64,
    /// Its jobs by state; every state is there.
    #[schema(example = json!({"completed": 29, "running": 4, "available": 27}))]
    counts: BTreeMap<&'static str, i64>,
    /// Slices a second over the last minutes; null while unknown and once it is final.
    #[schema(required = true, example = 3.5)]
    rate_per_s: Option<f64>,
    /// When it will be done at that rate; null while it makes no headway.
    #[schema(required = true)]
    estimated_finish: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    #[schema(required = true)]
    cancelled_at: Option<DateTime<Utc>>,
    /// When its last job became final.
    #[schema(required = true)]
    finished_at: Option<DateTime<Utc>>,
    /// Whether it is over, so that nothing of it will change unless somebody retries what has
    /// failed.
    #[serde(rename = "final")]
    pub(crate) is_final: bool,
    /// Always false: each request makes a backfill of its own.
    duplicate: bool,
    /// Whether the request that this answers had been answered before, so that it did nothing; also
    /// as `Idempotency-Replayed`.
    pub(crate) replayed: bool,
    /// Where to follow it.
    #[schema(format = "uri")]
    status_url: String,
    /// Seconds until it is worth asking again: a tenth of the time to `estimated_finish`; null once
    /// final. Also as `Retry-After`.
    #[schema(required = true, minimum = 1, maximum = 3600)]
    pub(crate) retry_after_s: Option<u32>,
    /// The database's time of this answer.
    observed_at: DateTime<Utc>,
    links: BackfillLinks,
}

/// Where to go from a backfill.
#[derive(Debug, Serialize, ToSchema)]
struct BackfillLinks {
    #[serde(rename = "self")]
    #[schema(format = "uri")]
    this: String,
    #[schema(format = "uri")]
    pause: String,
    #[schema(format = "uri")]
    resume: String,
    #[schema(format = "uri")]
    cancel: String,
    #[schema(format = "uri")]
    retry_failed: String,
    /// Its jobs.
    #[schema(format = "uri")]
    jobs: String,
}

impl BackfillResource {
    /// The backfill as callers of `base` see it.
    pub(crate) fn new(backfill: &Backfill, catalog: &Catalog, base: &str) -> Result<Self, serde_json::Error> {
        let id = backfill.id;
        let url = format!("{base}/internal/backfills/{id}");
        let is_final = backfill.state.is_final();
        let finish = backfill.estimated_finish;
        let worth_asking = finish.map(|at| backfill.observed_at + (at - backfill.observed_at) / 10);
        let counts = backfill.counts.iter().map(|(state, count)| (state.as_str(), count)).collect();
        Ok(Self {
            fraction: backfill.fraction(),
            asked_for: AskedFor::deserialize(&backfill.spec)?,
            links: BackfillLinks {
                pause: format!("{url}/pause"),
                resume: format!("{url}/resume"),
                cancel: format!("{url}/cancel"),
                retry_failed: format!("{url}/retry_failed"),
                jobs: format!("{base}/internal/jobs?backfill_id={id}"),
                this: url.clone(),
            },
            id,
            kind: catalog.name_of(&backfill.kind).to_owned(),
            state: backfill.state,
            is_final,
            duplicate: false,
            replayed: false,
            retry_after_s: (!is_final).then(|| seconds_until(worth_asking, backfill.observed_at)),
            share: backfill.settings.share,
            max_running: backfill.settings.max_running,
            priority: backfill.priority,
            total: backfill.total,
            expanded: backfill.expanded,
            skipped: backfill.skipped,
            done: backfill.done,
            jobs: backfill.jobs,
            counts,
            rate_per_s: backfill.rate,
            estimated_finish: backfill.estimated_finish,
            created_at: backfill.created_at,
            cancelled_at: backfill.cancelled_at,
            finished_at: backfill.finished_at,
            status_url: url,
            observed_at: backfill.observed_at,
        })
    }
}

/// What a backfill would do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DryRun {
    /// Always true: nothing was stored.
    pub(crate) dry_run: bool,
    /// What would be done for each tenant and day.
    #[schema(schema_with = schemas::backfill_kind)]
    pub(crate) kind: String,
    /// Slices that there is something to do for, in all. Those that are on their way already count.
    #[schema(example = 60)]
    pub(crate) total: u64,
    /// Slices of days that have not begun where the tenant is: they would be skipped.
    #[schema(example = 0)]
    pub(crate) future_days: u64,
    /// `total` by tenant.
    pub(crate) tenants: Vec<TenantSlices>,
}

/// What a request for a backfill that is answered with 200 may get.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "documents what create_backfill answers")]
pub(crate) enum DryRunOrBackfill {
    DryRun(DryRun),
    Backfill(Box<BackfillResource>),
}

/// Slices of a tenant that there is something to do for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TenantSlices {
    pub(crate) tenant_id: Uuid,
    /// The tenant's slug.
    #[schema(example = "tenant_demo_cca")]
    pub(crate) tenant: String,
    #[schema(example = 30)]
    pub(crate) slices: u64,
}
