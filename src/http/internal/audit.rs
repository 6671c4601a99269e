//! `GET /internal/audit`.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use uuid::Uuid;
use weirgate_identity::audit::{self, Entry, Filter, Listed, Via};
use weirgate_web::context::RequestContext;
use weirgate_web::job_list::tenant_of_filter;
use weirgate_web::page::{Page, Paging, next_url};
use weirgate_web::params::{Fields, FromQuery, Query};
use weirgate_web::parse::{Parse, TenantName};
use weirgate_web::problem::Problem;
use weirgate_web::query_params;

use crate::http::Api;

/// An entry of the audit log.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AuditEntry {
    pub(crate) id: i64,
    pub(crate) at: DateTime<Utc>,
    /// A user's email, `service token` or `next service token` with the beginning of its SHA-256,
    /// or an account of a host; `anonymous` for failed sign-ins.
    #[schema(example = "ada@example.com")]
    pub(crate) actor: String,
    /// Where it was done: `dashboard`, `internal` (this API), `cli` (the program's commands).
    #[schema(value_type = String, example = "dashboard")]
    pub(crate) via: Via,
    /// The client's IP address, where there is one.
    #[schema(required = true, example = "203.0.113.9")]
    pub(crate) address: Option<String>,
    #[schema(example = "job.cancel")]
    pub(crate) action: String,
    /// To what: a job's id, a queue's name, an email.
    pub(crate) target: String,
    /// The tenant that it concerns, if it is one alone; its UUID.
    #[schema(required = true)]
    pub(crate) tenant_id: Option<Uuid>,
    /// Its slug.
    #[schema(required = true, example = "tenant_demo_cca")]
    pub(crate) tenant: Option<String>,
    /// Of a change, how it was (`before`; null where it was made by this) and is (`after`), as far
    /// as that differs or was asked for: equal sides are a change of nothing. And more of it, by
    /// action.
    #[schema(value_type = Object, example = json!({"before": {"paused": false}, "after": {"paused": true}}))]
    pub(crate) detail: Value,
    /// How often within the minute; more than 1 for failed sign-ins alone.
    #[schema(example = 1)]
    pub(crate) times: i32,
}

impl From<Entry> for AuditEntry {
    fn from(entry: Entry) -> Self {
        let Entry { id, at, actor, via, address, action, target, tenant_id, tenant, detail, times, now: _ } =
            entry;
        Self { id, at, actor, via, address, action, target, tenant_id, tenant, detail, times }
    }
}

query_params! {
    /// Which entries.
    struct FilterParams {
        /// An action, or a group of them: `job` has `job.cancel`, `job.retry` and the like.
        #[param(example = "sign_in", min_length = 1, max_length = 2000)]
        action: Option<String>,
        /// Who did it, in any case of letters.
        #[param(example = "ada@example.com", min_length = 1, max_length = 2000)]
        actor: Option<String>,
        /// To what: a job's id, a queue's name, an email.
        #[param(example = "kpi", min_length = 1, max_length = 2000)]
        target: Option<String>,
        /// By which way.
        #[param(schema_with = vias)]
        via: Option<ViaName>,
        /// Concerning this tenant alone: its slug or UUID; `system` for jobs of the system itself.
        #[param(value_type = String, pattern = "^[A-Za-z0-9_-]{1,64}$", example = "tenant_demo_cca")]
        tenant_id: Option<TenantName>,
        /// From this time on.
        from: Option<DateTime<Utc>>,
        /// Before this time.
        to: Option<DateTime<Utc>>,
    }
}

fn vias() -> Schema {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Via::ALL.map(Via::as_str))).build().into()
}

query_params! {
    /// Which page of which entries.
    pub(crate) struct AuditQuery {
        ..filter: AuditFilter,
        ..paging: Paging<i64>,
    }
}

/// The filter, but for the tenant, which is still to be found.
#[derive(Debug)]
struct AuditFilter(Filter, Option<TenantName>);

impl FromQuery for AuditFilter {
    fn take(fields: &mut Fields) -> Option<Self> {
        let FilterParams { action, actor, target, via, tenant_id, from, to } = FilterParams::take(fields)?;
        if from.zip(to).is_some_and(|(from, to)| to <= from) {
            fields.fail("to", "expected a time after from");
        }
        let via = via.map(|via| via.0);
        Some(Self(Filter { actor, action, target, via, tenant: None, from, to }, tenant_id))
    }

    fn parameters() -> Vec<Parameter> {
        FilterParams::parameters()
    }
}

/// The filter, but for the tenant, which is still to be found. May lack something once `fields`
/// holds an error.
pub(crate) fn take_filter(fields: &mut Fields) -> (Filter, Option<TenantName>) {
    AuditFilter::take(fields).map_or_else(Default::default, |AuditFilter(filter, tenant)| (filter, tenant))
}

/// A way in any case of letters.
#[derive(Debug)]
struct ViaName(Via);

impl Parse for ViaName {
    fn parse(text: &str) -> Result<Self, String> {
        let via = Via::ALL.into_iter().find(|via| text.trim().eq_ignore_ascii_case(via.as_str()));
        via.map(Self).ok_or_else(|| format!("expected one of {}", Via::ALL.map(Via::as_str).join(", ")))
    }
}

/// Lists who did what to what, newest first.
///
/// Sign-ins and sign-outs, good and failed, what was done on pages, through `/internal` and by
/// commands to jobs, queues, limits, workflows, backfills, schedules, workers, tenants, users and
/// keys; enqueues by commands and on pages, pipelines, and migrations. A single job that a request
/// enqueues is not here: the job names who did. A page looks at a bounded number of entries: where
/// few match it can be short, or empty, and `next` goes on from there.
#[utoipa::path(
    get, path = "/internal/audit", tag = "Operation", params(Query::<AuditQuery>),
    responses(
        (status = 200, description = "A page of the audit", body = Page<AuditEntry>),
        (status = 404, description = "unknown_tenant")
    )
)]
pub(crate) async fn list_audit(
    State(api): State<Api>,
    context: RequestContext,
    Query(AuditQuery { filter: AuditFilter(mut filter, tenant), paging }): Query<AuditQuery>,
) -> Result<Page<AuditEntry>, Problem> {
    if let Some(name) = &tenant {
        filter.tenant = Some(tenant_of_filter(&api.web, name).await?);
    }
    let mut conn = api.pool.acquire().await?;
    let Listed { entries, next } = audit::list(&mut conn, &filter, paging.after, paging.limit()).await?;
    let next = next.and_then(|id| next_url(&id, &context));
    Ok(Page { items: entries.into_iter().map(AuditEntry::from).collect(), next })
}
