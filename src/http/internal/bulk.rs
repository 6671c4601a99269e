//! `POST /internal/jobs/bulk`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::openapi::response::Response as ResponseDoc;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Content, Ref, RefOr};
use utoipa::{IntoResponses, ToSchema};
use uuid::Uuid;
use weirgate_queue::control::bulk::BulkAction;
use weirgate_queue::read::JobFilter;
use weirgate_web::batcher::Of;
use weirgate_web::enqueue::{EnqueueBody, EnqueueHeaders, OptionParams, Received, Terms};
use weirgate_web::extract::parse_body;
use weirgate_web::job_list::{resolved, take_filter};
use weirgate_web::openapi::JobAccepted;
use weirgate_web::params::{Fields, Query, is_blank, too_many};
use weirgate_web::parse::TenantName;
use weirgate_web::problem::{FieldError, Problem};

use crate::http::{Api, schemas};
use crate::operations::{BulkJobs, BulkRefused};

/// What to do to which jobs, and how the job that does it is to be run.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BulkRequest, example = json!({"action": "retry", "filter": {"state": ["discarded"], "kind": "ingest_tickets"}, "dry_run": true}))]
pub(crate) struct BulkBody {
    #[schema(required = true, schema_with = schemas::bulk_action)]
    action: Option<BulkAction>,
    /// Which jobs.
    #[schema(value_type = BulkFilter)]
    filter: Option<Map<String, Value>>,
    /// Only count.
    #[schema(value_type = bool, required = false)]
    dry_run: Option<bool>,
    /// Not before this time.
    #[schema(value_type = Option<DateTime<Utc>>)]
    run_at: Option<String>,
    /// Higher first.
    #[schema(value_type = Option<i16>, minimum = -100, maximum = 100)]
    priority: Option<i64>,
    /// Attempts after which a failure discards the job; each goes on where the one before stopped.
    #[schema(value_type = Option<i16>, minimum = 1, maximum = 100)]
    max_attempts: Option<i64>,
}

/// The filters of the list of jobs, of which a job has to fulfil all. One at least, or `all`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "documents what BulkRequest reads")]
pub(crate) struct BulkFilter {
    /// One of these, up to 500.
    #[schema(required = false, max_items = 500)]
    id: Vec<Uuid>,
    /// In one of these states; a text may name several, with commas between.
    #[schema(required = false, schema_with = one_or_more_states)]
    state: Vec<String>,
    /// Of this kind.
    #[schema(required = false, min_length = 1, max_length = 2000, example = "ingest_tickets")]
    kind: String,
    /// In this queue.
    #[schema(required = false, min_length = 1, max_length = 2000, example = "ingest")]
    queue: String,
    /// The tenant's slug or UUID; `system` for jobs that belong to no single tenant.
    #[schema(required = false, pattern = "^[A-Za-z0-9_-]{1,64}$", example = "tenant_demo_cca")]
    tenant_id: String,
    #[schema(required = false)]
    workflow_id: Uuid,
    #[schema(required = false)]
    backfill_id: Uuid,
    /// For this day: every job of its daily pipeline, of a backfill's slice, and what was enqueued
    /// for it alone.
    #[schema(required = false, example = "2026-01-20")]
    date: NaiveDate,
    /// Retryable or discarded with this failure.
    #[schema(required = false, minimum = 0, maximum = 4_503_599_627_370_495_i64)]
    failure_id: i64,
    /// Enqueued at this time or after.
    #[schema(required = false)]
    created_after: DateTime<Utc>,
    /// Enqueued before this time.
    #[schema(required = false)]
    created_before: DateTime<Utc>,
    /// A text in arguments or errors, in any case.
    #[schema(required = false, min_length = 1, max_length = 2000)]
    q: String,
    /// With these arguments, as texts; a dot in a name leads into an object.
    #[schema(required = false, example = json!({"date": "2026-01-20"}))]
    args: BTreeMap<String, String>,
    /// Every job of every tenant. Alone, and only `true`: an empty filter is refused.
    #[schema(required = false)]
    all: bool,
}

/// How many jobs an action would touch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkCount {
    /// Jobs that match, in a state that the action applies to.
    count: u64,
    /// False when counting was cut off after about two seconds: there are at least that many.
    exact: bool,
}

/// A checked request.
#[derive(Debug)]
pub(crate) struct BulkRequest {
    action: BulkAction,
    filter: JobFilter,
    tenant: Option<TenantName>,
    all: bool,
    dry_run: bool,
    terms: Terms,
}

impl FromRequest<Api> for BulkRequest {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let received = Received::read(request, api).await?;
        let body: BulkBody = parse_body(&received.headers, &received.body)?;
        let mut fields = Fields::of(received.query.as_deref());
        if body.action.is_none() {
            fields.fail("action", "required: retry, cancel or delete");
        }
        let filter = body.filter.unwrap_or_default();
        let mut inner = match too_many(members(&filter)) {
            Some(message) => Fields::refused(message),
            None => Fields::of_pairs(pairs(filter, &mut fields)),
        };
        let filter = take_filter(&mut inner);
        let tenant = inner.get("tenant_id");
        let all = inner.get("all").unwrap_or(false);
        fields.fail_within("filter", inner);
        let options =
            EnqueueBody { run_at: body.run_at, priority: body.priority, max_attempts: body.max_attempts };
        let terms = received.terms(&mut fields, &options);
        let (action, terms) = fields.finish(body.action.zip(terms))?;
        Ok(Self { action, filter, tenant, all, dry_run: body.dry_run.unwrap_or(false), terms })
    }
}

/// The names of a filter's members as if they were parameters.
fn members(filter: &Map<String, Value>) -> impl Iterator<Item = &str> {
    filter.iter().flat_map(|(name, value)| {
        let count = match value {
            Value::Object(members) => members.len(),
            Value::Array(members) => members.len(),
            _ => 1,
        };
        std::iter::repeat_n(name.as_str(), count)
    })
}

/// The members of a filter as if they were parameters: a list is a parameter given several times.
fn pairs(filter: Map<String, Value>, fields: &mut Fields) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (name, value) in filter {
        let texts = match value {
            Value::String(text) => Some(vec![text]),
            Value::Bool(flag) if name == "all" => Some(vec![flag.to_string()]),
            Value::Number(number) if name == "failure_id" => Some(vec![number.to_string()]),
            Value::Object(args) if name == "args" => {
                for (arg, value) in args {
                    match value {
                        Value::String(text) => pairs.push((format!("args.{arg}"), text)),
                        _ => fields.fail(&format!("filter.args.{arg}"), "expected a text"),
                    }
                }
                continue;
            }
            // A list of blanks names no jobs, as an empty one does: it is not all of them.
            Value::Array(list)
                if matches!(name.as_str(), "state" | "id")
                    && list.iter().any(|item| item.as_str().is_none_or(|text| !is_blank(text))) =>
            {
                list.into_iter().map(|item| item.as_str().map(str::to_owned)).collect()
            }
            _ => None,
        };
        match texts {
            Some(texts) => pairs.extend(texts.into_iter().map(|text| (name.clone(), text))),
            None => fields.fail(&format!("filter.{name}"), expected(&name)),
        }
    }
    pairs
}

fn expected(name: &str) -> &'static str {
    match name {
        "state" => "expected the name of a state, or a list of them",
        "all" => "expected true",
        "id" => "expected the id of a job, or a list of them",
        "failure_id" => "expected a number",
        "args" => "expected an object of texts",
        _ => "expected a text",
    }
}

/// Retries, cancels or deletes all jobs that match a filter now.
///
/// The answer is a job of kind `bulk_jobs` that does it in steps of up to 1,000 jobs; its tenant is
/// `system`. Its `progress` and `output` show what is done so far, and cancelling it stops it
/// there; retrying it continues. What cannot be retried or deleted, because the same job has been
/// enqueued again or an unfinished job depends on it, is skipped. With `dry_run`, only counts.
#[utoipa::path(
    post, path = "/internal/jobs/bulk", tag = "Jobs",
    params(Query::<OptionParams>, EnqueueHeaders), request_body = BulkBody, responses(BulkAnswers)
)]
pub(crate) async fn bulk_jobs(State(api): State<Api>, request: BulkRequest) -> Result<Response, Problem> {
    let BulkRequest { action, filter, tenant, all, dry_run, terms } = request;
    let filter = resolved(&api.web, filter, tenant.as_ref()).await?;
    let bulk = BulkJobs::new(action, filter, all).map_err(refuse)?;
    if dry_run {
        let count = bulk.count(api.web.reads.of_service().await?.conn()).await?;
        return Ok(Json(BulkCount { count: count.count, exact: count.exact }).into_response());
    }
    let (job, BulkJobs { action, filter }) = (bulk.job()?, bulk);
    terms.run(&api.web, job, Of::Bulk { action, filter: Box::new(filter) }).await
}

fn refuse(refused: BulkRefused) -> Problem {
    let field = match refused {
        BulkRefused::Unbounded | BulkRefused::AllAndSome => "filter",
        BulkRefused::NoState(_) => "filter.state",
    };
    let hint = if refused == BulkRefused::Unbounded { r#": {"all": true}"# } else { "" };
    Problem::invalid(vec![FieldError { field: field.to_owned(), message: format!("{refused}{hint}") }])
}

fn one_or_more_states() -> Schema {
    let list = ArrayBuilder::new().items(weirgate_web::schemas::job_state()).min_items(Some(1));
    let text = ObjectBuilder::new().schema_type(Type::String).examples(["discarded,cancelled"]);
    OneOfBuilder::new().item(list).item(text).build().into()
}

/// What a bulk action answers: as every enqueue, or the count.
#[derive(Debug)]
pub(crate) struct BulkAnswers;

impl IntoResponses for BulkAnswers {
    fn responses() -> BTreeMap<String, RefOr<ResponseDoc>> {
        let mut responses = JobAccepted::responses();
        for (status, description) in [
            ("404", "unknown_tenant: `filter` names a tenant that is not there"),
            ("422", "validation_failed, idempotency_key_reused"),
        ] {
            responses.insert(status.to_owned(), ResponseDoc::new(description).into());
        }
        if let Some(RefOr::T(response)) = responses.get_mut("200") {
            response.description = format!("With `dry_run`, the count. {}", response.description);
            let either = OneOfBuilder::new()
                .item(Ref::from_schema_name("BulkCount"))
                .item(Ref::from_schema_name("Job"))
                .build();
            let content = Content::new(Some(Schema::from(either)));
            response.content.insert("application/json".to_owned(), RefOr::T(content));
        }
        responses
    }
}
