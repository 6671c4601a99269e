//! `GET /internal/audit`.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use weirgate_identity::audit::{self, Entry, Filter, Listed, Via};
use weirgate_web::context::RequestContext;
use weirgate_web::job_list::tenant_of_filter;
use weirgate_web::page::{Page, Paging, PagingParams, next_url};
use weirgate_web::params::{Fields, FromQuery, Query};
use weirgate_web::parse::{Parse, TenantName};
use weirgate_web::problem::Problem;

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

/// Which entries.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what AuditQuery reads")]
pub(crate) struct AuditParams {
    /// An action, or a group of them: `job` has `job.cancel`, `job.retry` and the like.
    #[param(required = false, example = "sign_in", min_length = 1, max_length = 2000)]
    action: String,
    /// Who did it, in any case of letters.
    #[param(required = false, example = "ada@example.com", min_length = 1, max_length = 2000)]
    actor: String,
    /// To what: a job's id, a queue's name, an email.
    #[param(required = false, example = "kpi", min_length = 1, max_length = 2000)]
    target: String,
    /// By which way.
    #[param(required = false, schema_with = vias)]
    via: String,
    /// Concerning this tenant alone: its slug or UUID; `system` for jobs of the system itself.
    #[param(required = false, pattern = "^[A-Za-z0-9_-]{1,64}$", example = "tenant_demo_cca")]
    tenant_id: String,
    /// From this time on.
    #[param(required = false)]
    from: DateTime<Utc>,
    /// Before this time.
    #[param(required = false)]
    to: DateTime<Utc>,
}

fn vias() -> Schema {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Via::ALL.map(Via::as_str))).build().into()
}

#[derive(Debug)]
pub(crate) struct AuditQuery {
    filter: Filter,
    tenant: Option<TenantName>,
    paging: Paging<i64>,
}

impl FromQuery for AuditQuery {
    fn take(fields: &mut Fields) -> Option<Self> {
        let (filter, tenant) = take_filter(fields);
        Some(Self { filter, tenant, paging: Paging::take(fields) })
    }
}

/// The filter, but for the tenant, which is still to be found.
pub(crate) fn take_filter(fields: &mut Fields) -> (Filter, Option<TenantName>) {
    let filter = Filter {
        actor: fields.get("actor"),
        action: fields.get("action"),
        target: fields.get("target"),
        via: fields.get::<ViaName>("via").map(|via| via.0),
        tenant: None,
        from: fields.get("from"),
        to: fields.get("to"),
    };
    if let (Some(from), Some(to)) = (filter.from, filter.to)
        && to <= from
    {
        fields.fail("to", "expected a time after from");
    }
    (filter, fields.get("tenant_id"))
}

/// A way in any case of letters.
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
    get, path = "/internal/audit", tag = "Operation", params(AuditParams, PagingParams),
    responses(
        (status = 200, description = "A page of the audit", body = Page<AuditEntry>),
        (status = 404, description = "unknown_tenant")
    )
)]
pub(crate) async fn list_audit(
    State(api): State<Api>,
    context: RequestContext,
    Query(AuditQuery { mut filter, tenant, paging }): Query<AuditQuery>,
) -> Result<Page<AuditEntry>, Problem> {
    if let Some(name) = &tenant {
        filter.tenant = Some(tenant_of_filter(&api.web, name).await?);
    }
    let mut conn = api.pool.acquire().await?;
    let Listed { entries, next } = audit::list(&mut conn, &filter, paging.after, paging.limit()).await?;
    let next = next.and_then(|id| next_url(&id, &context));
    Ok(Page { items: entries.into_iter().map(AuditEntry::from).collect(), next })
}
