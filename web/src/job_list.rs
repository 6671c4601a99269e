//! What the two lists of jobs have in common.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use utoipa::openapi::schema::{ArrayBuilder, Schema};
use uuid::Uuid;
use weirgate_identity::tenant::find_by_slug;
use weirgate_identity::{SYSTEM_SLUG, SYSTEM_TENANT, Tenant};
use weirgate_queue::JobState;
use weirgate_queue::read::JobFilter;

use crate::context::RequestContext;
use crate::day::take_day;
use crate::follow::Viewer;
use crate::job::JobResource;
use crate::page::{Page, Paging, next_url};
use crate::params::{Fields, FromQuery};
use crate::parse::TenantName;
use crate::problem::Problem;
use crate::query_params;
use crate::schemas;
use crate::state::Web;

query_params! {
    /// Filters of every list.
    pub struct JobFilterParams {
        /// One of these; repeated, up to 500 times.
        #[param(max_items = 500)]
        id: Option<Vec<Uuid>> = Fields::uuids,
        /// In one of these states; repeated, or with commas between.
        #[param(schema_with = job_states)]
        state: Option<Vec<JobState>> = Fields::states,
        /// Of this kind.
        #[param(min_length = 1, max_length = 2000, example = "ingest_tickets")]
        kind: Option<String>,
        /// In this queue.
        #[param(min_length = 1, max_length = 2000, example = "ingest")]
        queue: Option<String>,
        workflow_id: Option<Uuid>,
        backfill_id: Option<Uuid>,
        /// Enqueued at this time or after.
        created_after: Option<DateTime<Utc>>,
        /// Enqueued before this time.
        created_before: Option<DateTime<Utc>>,
        /// A text in arguments or errors, in any case; under `/v1` of errors in their codes.
        #[param(min_length = 1, max_length = 2000)]
        q: Option<String>,
        /// For this day: every job of its daily pipeline, of a backfill's slice, and what was
        /// enqueued for it alone.
        #[param(example = "2026-01-20")]
        date: Option<NaiveDate>,
        /// As `date`; one of the two is enough. Any other argument likewise: `args.` and its name,
        /// in which a dot leads into an object.
        #[param(
            value_type = String,
            rename = "args.date",
            min_length = 1,
            max_length = 2000,
            example = "2026-01-20"
        )]
        args: Option<BTreeMap<String, String>> = |fields, _| Some(fields.below("args.")),
    }
}

query_params! {
    /// The filter that only the service has beside the tenant: a failure's number tells who knows
    /// it which message a job had, and that is not for tenants.
    struct FailureParam {
        /// Retryable or discarded with this failure; the dashboard's page of failures names
        /// them.
        #[param(minimum = 0, maximum = 4_503_599_627_370_495_i64)]
        failure_id: Option<i64> = |fields, name| fields.in_range(name, 0..=(1 << 52) - 1),
    }
}

query_params! {
    /// Whose jobs.
    struct TenantParam {
        /// The tenant's slug or UUID; `system` for jobs that belong to no single tenant
        #[param(value_type = String, pattern = "^[A-Za-z0-9_-]{1,64}$")]
        tenant_id: Option<TenantName>,
    }
}

fn job_states() -> Schema {
    ArrayBuilder::new().items(schemas::job_state()).build().into()
}

impl JobFilterParams {
    fn filter(self) -> JobFilter {
        let mut args = self.args.unwrap_or_default();
        JobFilter {
            ids: self.id,
            states: self.state,
            subject: take_day(self.date, &mut args),
            kind: self.kind,
            queue: self.queue,
            workflow: self.workflow_id,
            backfill: self.backfill_id,
            created_after: self.created_after,
            created_before: self.created_before,
            text: self.q,
            args,
            ..JobFilter::default()
        }
    }
}

/// The filter of the service, but for the tenant. May lack something once `fields` holds an error.
pub fn take_filter(fields: &mut Fields) -> JobFilter {
    let filter = JobFilterParams::take(fields).map(JobFilterParams::filter).unwrap_or_default();
    JobFilter { failure: FailureParam::take(fields).and_then(|it| it.failure_id), ..filter }
}

/// The filter with what names tenants in it found out.
pub async fn resolved(
    web: &Web,
    mut filter: JobFilter,
    tenant: Option<&TenantName>,
) -> Result<JobFilter, Problem> {
    if let Some(name) = tenant {
        filter.tenant = Some(tenant_of_filter(web, name).await?);
    }
    if filter.text.is_some() || filter.args.contains_key("tenant") {
        find_by_slug(&mut *web.pool.acquire().await?, &mut filter).await?;
    }
    Ok(filter)
}

/// The tenant whose jobs are meant: one that there is, or the system.
pub async fn tenant_of_filter(web: &Web, name: &TenantName) -> Result<Uuid, Problem> {
    if name.0 == SYSTEM_SLUG || name.0.parse() == Ok(SYSTEM_TENANT) {
        return Ok(SYSTEM_TENANT);
    }
    let tenant = Tenant::find(&mut *web.pool.acquire().await?, &name.0).await?;
    Ok(tenant.ok_or_else(|| Problem::unknown_tenant(&name.0))?.id)
}

query_params! {
    /// Which of a tenant's jobs to list.
    pub struct JobQuery {
        ..filter: JobFilterParams,
        ..paging: Paging<i64>,
    }
}

query_params! {
    /// Which jobs to list, of any tenant.
    pub struct AnyTenantsJobQuery {
        ..filter: JobFilterParams,
        ..failure: FailureParam,
        ..tenant: TenantParam,
        ..paging: Paging<i64>,
    }
}

impl AnyTenantsJobQuery {
    pub async fn run(
        self,
        web: &Web,
        viewer: &Viewer,
        context: &RequestContext,
    ) -> Result<Page<JobResource>, Problem> {
        let filter = JobFilter { failure: self.failure.failure_id, ..self.filter.filter() };
        let filter = resolved(web, filter, self.tenant.tenant_id.as_ref()).await?;
        list(&filter, &self.paging, viewer, context).await
    }
}

impl JobQuery {
    pub async fn run(self, viewer: &Viewer, context: &RequestContext) -> Result<Page<JobResource>, Problem> {
        list(&self.filter.filter(), &self.paging, viewer, context).await
    }
}

async fn list(
    filter: &JobFilter,
    paging: &Paging<i64>,
    viewer: &Viewer,
    context: &RequestContext,
) -> Result<Page<JobResource>, Problem> {
    let listed = viewer.list(filter, paging.after, paging.limit()).await?;
    let next = listed.next.and_then(|below| next_url(&below, context));
    Ok(Page { items: viewer.resources(listed.rows).await?, next })
}
