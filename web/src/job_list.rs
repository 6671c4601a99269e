//! What the two lists of jobs have in common.

use chrono::{DateTime, NaiveDate, Utc};
use utoipa::IntoParams;
use utoipa::openapi::schema::{ArrayBuilder, Schema};
use uuid::Uuid;
use weirgate_identity::tenant::find_by_slug;
use weirgate_identity::{SYSTEM_SLUG, SYSTEM_TENANT, Tenant};
use weirgate_queue::read::JobFilter;

use crate::context::RequestContext;
use crate::day::take_day;
use crate::follow::Viewer;
use crate::job::JobResource;
use crate::page::{Page, Paging, next_url};
use crate::params::{Fields, FromQuery};
use crate::parse::TenantName;
use crate::problem::Problem;
use crate::schemas;
use crate::state::Web;

/// Filters of every list, for the documentation.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what JobQuery reads")]
pub struct JobFilterParams {
    /// One of these; repeated, up to 500 times.
    #[param(required = false, max_items = 500)]
    id: Vec<Uuid>,
    /// In one of these states; repeated, or with commas between.
    #[param(required = false, schema_with = job_states)]
    state: Vec<String>,
    /// Of this kind.
    #[param(required = false, min_length = 1, max_length = 2000, example = "ingest_tickets")]
    kind: String,
    /// In this queue.
    #[param(required = false, min_length = 1, max_length = 2000, example = "ingest")]
    queue: String,
    #[param(required = false)]
    workflow_id: Uuid,
    #[param(required = false)]
    backfill_id: Uuid,
    /// Enqueued at this time or after.
    #[param(required = false)]
    created_after: DateTime<Utc>,
    /// Enqueued before this time.
    #[param(required = false)]
    created_before: DateTime<Utc>,
    /// A text in arguments or errors, in any case; under `/v1` of errors in their codes.
    #[param(required = false, min_length = 1, max_length = 2000)]
    q: String,
    /// For this day: every job of its daily pipeline, of a backfill's slice, and what was enqueued
    /// for it alone.
    #[param(required = false, example = "2026-01-20")]
    date: NaiveDate,
    /// As `date`; one of the two is enough. Any other argument likewise: `args.` and its name, in
    /// which a dot leads into an object.
    #[param(
        required = false,
        rename = "args.date",
        min_length = 1,
        max_length = 2000,
        example = "2026-01-20"
    )]
    args_date: String,
}

/// The filter that only the service has beside the tenant, for the documentation.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what AnyTenantsJobQuery reads")]
pub struct FailureParam {
    /// Retryable or discarded with this failure; the dashboard's page of failures names
    /// them.
    #[param(required = false, minimum = 0, maximum = 4_503_599_627_370_495_i64)]
    failure_id: i64,
}

fn job_states() -> Schema {
    ArrayBuilder::new().items(schemas::job_state()).build().into()
}

/// The filter of the service, but for the tenant.
pub fn take_filter(fields: &mut Fields) -> JobFilter {
    // Its number tells who knows them which message a failure had: that is not for tenants.
    JobFilter { failure: fields.in_range("failure_id", 0..=(1 << 52) - 1), ..take_tenants_filter(fields) }
}

fn take_tenants_filter(fields: &mut Fields) -> JobFilter {
    let date: Option<NaiveDate> = fields.get("date");
    let mut args = fields.below("args.");
    JobFilter {
        ids: fields.uuids("id"),
        states: fields.states("state"),
        subject: take_day(date, &mut args),
        kind: fields.get("kind"),
        queue: fields.get("queue"),
        tenant: None,
        workflow: fields.get("workflow_id"),
        backfill: fields.get("backfill_id"),
        failure: None,
        created_after: fields.get("created_after"),
        created_before: fields.get("created_before"),
        text: fields.get("q"),
        args,
        ..JobFilter::default()
    }
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

/// Which jobs to list. `tenant_id` is a parameter of the service only.
#[derive(Debug)]
pub struct JobQuery {
    filter: JobFilter,
    paging: Paging<i64>,
}

impl FromQuery for JobQuery {
    fn take(fields: &mut Fields) -> Option<Self> {
        Some(Self { filter: take_tenants_filter(fields), paging: Paging::take(fields) })
    }
}

/// [`JobQuery`] with the parameter that only the service has.
#[derive(Debug)]
pub struct AnyTenantsJobQuery {
    pub jobs: JobQuery,
    pub tenant: Option<TenantName>,
}

impl FromQuery for AnyTenantsJobQuery {
    fn take(fields: &mut Fields) -> Option<Self> {
        let tenant = fields.get("tenant_id");
        let jobs = JobQuery { filter: take_filter(fields), paging: Paging::take(fields) };
        Some(Self { jobs, tenant })
    }
}

impl AnyTenantsJobQuery {
    pub async fn run(
        self,
        web: &Web,
        viewer: &Viewer,
        context: &RequestContext,
    ) -> Result<Page<JobResource>, Problem> {
        let Self { jobs: JobQuery { filter, paging }, tenant } = self;
        let filter = resolved(web, filter, tenant.as_ref()).await?;
        JobQuery { filter, paging }.run(viewer, context).await
    }
}

impl JobQuery {
    pub async fn run(&self, viewer: &Viewer, context: &RequestContext) -> Result<Page<JobResource>, Problem> {
        let listed = viewer.list(&self.filter, self.paging.after, self.paging.limit()).await?;
        let next = listed.next.and_then(|below| next_url(&below, context));
        Ok(Page { items: viewer.resources(listed.rows).await?, next })
    }
}
