//! `GET /internal/audit`.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::audit::{self, Entry, Filter, Listed};
use crate::http::Api;
use crate::http::context::RequestContext;
use crate::http::page::{Page, Paging, PagingParams, next_url};
use crate::http::params::{Fields, FromQuery, Query};
use crate::http::problem::Problem;

/// Something that somebody did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditEntry {
    id: i64,
    at: DateTime<Utc>,
    /// A user's email, `service`, or an account of a host; `anonymous` for failed sign-ins.
    #[schema(example = "ada@example.com")]
    actor: String,
    /// By which way: `dashboard`, `internal` (this API), `cli` (the program's commands).
    #[schema(example = "dashboard")]
    via: String,
    /// The client's IP address, where there is one.
    #[schema(required = true, example = "203.0.113.9")]
    address: Option<String>,
    #[schema(example = "job.cancel")]
    action: String,
    /// To what: a job's id, a queue's name, an email.
    target: String,
    /// More of it, by action.
    #[schema(value_type = Object)]
    detail: Value,
    /// How often within the minute; more than 1 for failed sign-ins alone.
    #[schema(example = 1)]
    times: i32,
}

impl From<Entry> for AuditEntry {
    fn from(entry: Entry) -> Self {
        let Entry { id, at, actor, via, address, action, target, detail, times, now: _ } = entry;
        Self { id, at, actor, via, address, action, target, detail, times }
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
    #[param(required = false, example = "service", min_length = 1, max_length = 2000)]
    actor: String,
}

#[derive(Debug)]
pub(crate) struct AuditQuery(Filter, Paging<i64>);

impl FromQuery for AuditQuery {
    fn take(fields: &mut Fields) -> Option<Self> {
        let filter = Filter { actor: fields.get("actor"), action: fields.get("action") };
        Some(Self(filter, Paging::take(fields)))
    }
}

/// Lists who did what to what, newest first.
///
/// Sign-ins and sign-outs, good and failed, what was done on pages, through `/internal` and by commands to jobs, queues, limits,
/// workflows, backfills, schedules, workers, tenants, users and keys. What merely enqueues a job is not here: the job is its record. A
/// page looks at a bounded number of entries: where few match it can be short, or empty, and `next` goes on from there.
#[utoipa::path(
    get, path = "/internal/audit", tag = "Operation", params(AuditParams, PagingParams),
    responses((status = 200, description = "A page of the audit", body = Page<AuditEntry>))
)]
pub(crate) async fn list_audit(
    State(api): State<Api>,
    context: RequestContext,
    Query(AuditQuery(filter, paging)): Query<AuditQuery>,
) -> Result<Page<AuditEntry>, Problem> {
    let mut conn = api.pool.acquire().await?;
    let Listed { entries, next } = audit::list(&mut conn, &filter, paging.after, paging.limit()).await?;
    let next = next.and_then(|id| next_url(&id, &context));
    Ok(Page { items: entries.into_iter().map(AuditEntry::from).collect(), next })
}
