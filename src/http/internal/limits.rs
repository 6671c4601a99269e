//! `/internal/tenants/{id}/limits`.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::Ref;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use uuid::Uuid;
use weirgate_identity::Tenant;
use weirgate_queue::JobState;
use weirgate_queue::lanes::change::LaneChange;
use weirgate_queue::lanes::{LaneLimits, LimitsInput, QueueView};
use weirgate_web::client_address::ServiceActor;
use weirgate_web::extract::{Body, Path};
use weirgate_web::params::Query;
use weirgate_web::problem::{FieldError, Problem};

use crate::http::Api;
use crate::http::limits::{LaneLimitsResource, checked, given};
use crate::pauses::{Pausable, set_paused};
use crate::{limits, queues};

/// A tenant's limits and what is going on, by queue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TenantLimits {
    tenant_id: Uuid,
    /// The tenant's slug.
    #[schema(example = "tenant_demo_cca")]
    tenant: String,
    /// Every queue, by name.
    queues: BTreeMap<String, Lane>,
}

/// One tenant's place in one queue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Lane {
    /// Whether nothing of it starts.
    paused: bool,
    /// Whether the whole queue is paused.
    queue_paused: bool,
    /// Its own limits, in place of all that the queue has for each tenant; null where it has none.
    #[schema(required = true)]
    limits: Option<LaneLimitsResource>,
    /// What applies to it.
    effective: LaneLimitsResource,
    effective_from: LimitsFrom,
    /// Jobs that wait, by state.
    #[schema(example = json!({"waiting": 0, "scheduled": 0, "available": 3, "retryable": 0}))]
    waiting: BTreeMap<&'static str, i64>,
    /// Jobs that run.
    running: i64,
    /// Until when its rate is used up.
    #[schema(required = true)]
    throttled_until: Option<DateTime<Utc>>,
    /// The database's time of this answer.
    observed_at: DateTime<Utc>,
}

/// Where limits come from.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LimitsFrom {
    /// The tenant's own.
    Lane,
    /// What the queue has for each tenant.
    QueueDefault,
    /// Nobody has set any.
    None,
}

impl Lane {
    fn of(view: &QueueView, tenant: Uuid) -> Self {
        let settings = view.settings();
        let own = settings.lanes.get(&tenant).and_then(|lane| lane.limits);
        let facts = view.lane_activity(tenant);
        let count = |state: JobState| facts.counts.get(&state).copied().unwrap_or(0);
        let waiting = [JobState::Waiting, JobState::Scheduled, JobState::Available, JobState::Retryable];
        Self {
            paused: settings.lane_paused(tenant),
            queue_paused: settings.paused,
            limits: own.map(LaneLimitsResource::from),
            effective: settings.lane_limits(tenant).into(),
            effective_from: match own {
                Some(_) => LimitsFrom::Lane,
                None if settings.default == LaneLimits::default() => LimitsFrom::None,
                None => LimitsFrom::QueueDefault,
            },
            waiting: waiting.into_iter().map(|state| (state.as_str(), count(state))).collect(),
            running: count(JobState::Running),
            throttled_until: facts.throttled_until,
            observed_at: view.now(),
        }
    }
}

/// What to change, by queue. A queue that is not named stays as it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"queues": {"ingest": {"rate": 20, "burst": 5, "max_running": 3}, "kpi": null}}))]
pub(crate) struct TenantLimitsChange {
    /// Null resets the tenant to the defaults of the queue, and resumes it.
    #[serde(default)]
    #[schema(schema_with = lane_changes)]
    queues: BTreeMap<String, Option<LaneBody>>,
}

fn lane_changes() -> Schema {
    let null = ObjectBuilder::new().schema_type(Type::Null);
    let change = OneOfBuilder::new().item(null).item(Ref::from_schema_name("LaneChange"));
    ObjectBuilder::new()
        .description(Some("Null resets the tenant to the defaults of the queue, and resumes it"))
        .additional_properties(Some(Schema::from(change.build())))
        .build()
        .into()
}

/// What to change of a tenant's place in a queue. `paused` and the limits are independent of each
/// other.
///
/// With one of the limits, all of them are set anew (what is missing or null is no limit); with
/// none, they stay.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LaneChange)]
#[expect(clippy::option_option, reason = "null and absent mean different things")]
pub(crate) struct LaneBody {
    /// Whether nothing of it starts.
    paused: Option<bool>,
    /// Starts per period; at most 50,000 a second.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 1_000_000, example = 20)]
    rate: Option<Option<i64>>,
    /// The period, in seconds, to the millisecond; 1 when missing.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<f64>, minimum = 0.001, maximum = 31_536_000)]
    period_s: Option<Option<f64>>,
    /// Starts allowed at once after a pause; 1 when missing: starts are evenly spaced.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 1_000_000, example = 5)]
    burst: Option<Option<i64>>,
    /// Jobs that may run at once, on all hosts together.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 1_000_000, example = 3)]
    max_running: Option<Option<i64>>,
    /// Its share of the starts against other tenants, when there is more work than capacity; 1 when
    /// missing.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<f64>, minimum = 0.001, maximum = 1000)]
    weight: Option<Option<f64>>,
}

impl LaneBody {
    /// The limits, if one of them is there.
    fn limits(&self) -> Option<LimitsInput> {
        let Self { paused: _, rate, period_s, burst, max_running, weight } = self;
        let some = rate.is_some()
            || period_s.is_some()
            || burst.is_some()
            || max_running.is_some()
            || weight.is_some();
        some.then(|| LimitsInput {
            rate: rate.flatten(),
            period_s: period_s.flatten(),
            burst: burst.flatten(),
            max_running: max_running.flatten(),
            weight: weight.flatten(),
        })
    }
}

impl TenantLimitsChange {
    fn check(self, known: &BTreeSet<String>) -> Result<Vec<(String, LaneChange)>, Problem> {
        let mut errors = Vec::new();
        let mut changes = Vec::with_capacity(self.queues.len());
        for (queue, body) in self.queues {
            let path = format!("queues.{queue}");
            if !known.contains(&queue) {
                errors.push(FieldError { field: path, message: queues::unknown(known) });
                continue;
            }
            let change = match body {
                None => LaneChange { paused: Some(false), limits: Some(None) },
                Some(body) => LaneChange {
                    paused: body.paused,
                    limits: body.limits().and_then(|it| checked(&mut errors, &path, it.lane())).map(Some),
                },
            };
            changes.push((queue, change));
        }
        if errors.is_empty() { Ok(changes) } else { Err(Problem::invalid(errors)) }
    }
}

/// Shows a tenant's limits in every queue, what applies, and what is going on.
#[utoipa::path(
    get, path = "/internal/tenants/{id}/limits", tag = "Operation",
    params(("id" = String, Path, description = "The tenant's slug or UUID")),
    responses((status = 200, description = "By queue", body = TenantLimits))
)]
pub(crate) async fn get_tenant_limits(
    State(api): State<Api>,
    Path(name): Path<String>,
    Query(()): Query<()>,
) -> Result<Json<TenantLimits>, Problem> {
    let mut conn = api.pool.acquire().await?;
    let tenant = Tenant::find(&mut conn, &name).await?.ok_or_else(|| Problem::unknown_tenant(&name))?;
    let known = queues::known(&mut conn, &api.catalog, Some(tenant.id)).await?;
    drop(conn);
    read(&api, tenant, known).await
}

/// Changes a tenant's limits, or pauses and resumes it, in the queues that are named.
///
/// All workers apply it from their next claim on; running jobs continue.
#[utoipa::path(
    put, path = "/internal/tenants/{id}/limits", tag = "Operation",
    params(("id" = String, Path, description = "The tenant's slug or UUID")), request_body = TenantLimitsChange,
    responses((status = 200, description = "As it is now, in every queue", body = TenantLimits))
)]
pub(crate) async fn set_tenant_limits(
    State(api): State<Api>,
    ServiceActor(actor): ServiceActor,
    Path(name): Path<String>,
    Query(()): Query<()>,
    Body(change): Body<TenantLimitsChange>,
) -> Result<Json<TenantLimits>, Problem> {
    let mut tx = api.pool.begin().await?;
    let tenant = Tenant::find(&mut tx, &name).await?.ok_or_else(|| Problem::unknown_tenant(&name))?;
    let known = queues::known(&mut tx, &api.catalog, Some(tenant.id)).await?;
    for (queue, change) in change.check(&known)? {
        let slug = &*tenant.slug.0;
        // Each is an act of its own.
        if let Some(paused) = change.paused {
            let lane = Pausable::Lane { tenant: tenant.id, slug, queue: &queue };
            set_paused(&mut tx, &actor, lane, paused).await?;
        }
        if let Some(own) = change.limits {
            limits::set_lane(&mut tx, &actor, (tenant.id, slug), &queue, own).await?;
        }
    }
    tx.commit().await?;
    read(&api, tenant, known).await
}

async fn read(api: &Api, tenant: Tenant, known: BTreeSet<String>) -> Result<Json<TenantLimits>, Problem> {
    let mut queues = BTreeMap::new();
    for queue in known {
        let lane = api.web.queue_views.read(&queue, |view| Lane::of(view, tenant.id)).await?;
        queues.insert(queue, lane);
    }
    Ok(Json(TenantLimits { tenant_id: tenant.id, tenant: tenant.slug.0, queues }))
}
