//! `/internal/backfills`.

use axum::Json;
use axum::extract::State;
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::audit::{Actor, Change, Subject};
use weirgate_queue::backfill;
use weirgate_web::backfill::BackfillRange;
use weirgate_web::client_address::ServiceActor;
use weirgate_web::context::RequestContext;
use weirgate_web::extract::{Action, Path, answered};
use weirgate_web::idempotency::{Claimed, REPLAYED};
use weirgate_web::page::{Page, Paging};
use weirgate_web::params::Query;
use weirgate_web::problem::Problem;

use crate::http::Api;
use crate::http::backfill::{BackfillResource, DryRun, DryRunOrBackfill, TenantSlices};
use crate::http::backfill_request::{BackfillBody, BackfillRequest, SettingsBody, SettingsRequest};
use crate::pauses::{Pausable, set_paused};

/// Creates a backfill: a job for each tenant and day of a range, or a pipeline of them.
///
/// They are made piece by piece, a bounded number ahead, and run behind the live work. With
/// `dry_run` nothing is stored: the answer is how many slices there are to do.
#[utoipa::path(
    post, path = "/internal/backfills", tag = "Backfills", request_body = BackfillBody,
    params(("Idempotency-Key" = Option<String>, Header, pattern = "^[!-~]{1,255}$", min_length = 1, max_length = 255,
        description = "The same key with the same request of the same caller gives the same backfill again, for 24 hours")),
    responses(
        (status = 202, description = "The backfill is stored", body = BackfillResource, headers(
            ("Location" = String, description = "The backfill's URL"),
            ("Idempotency-Replayed" = String, description = "true when the Idempotency-Key was used before")
        )),
        (status = 200, body = DryRunOrBackfill,
            description = "What it would do (`dry_run`); or the backfill, final, under a repeated Idempotency-Key"),
        (status = 404, description = "unknown_tenant: `detail` names each"),
        (status = 409, description = "tenant_inactive: `detail` names each")
    )
)]
pub(crate) async fn create_backfill(
    State(api): State<Api>,
    ServiceActor(actor): ServiceActor,
    request: BackfillRequest,
) -> Result<Response, Problem> {
    let mut tx = api.pool.begin().await?;
    let (range, tenants) = request.range(&mut tx).await?;
    if request.dry_run {
        return dry_run(&mut tx, &request, &range).await;
    }
    let context = &request.context;
    let new = request.backfill(&mut tx, &range, &tenants).await?;
    let mut id = Uuid::now_v7();
    let replay = match &request.key {
        Some(key) => key.claim(&mut tx, id).await?,
        None => Claimed::First,
    };
    match replay {
        Claimed::First => {
            backfill::create(&mut tx, id, &new).await?;
            actor.note_backfill(&mut tx, id, &new, &range.tenants).await?;
        }
        Claimed::Replay(earlier) => id = earlier,
    }
    tx.commit().await?;
    let replayed = matches!(replay, Claimed::Replay(_));
    let mut response = answer(&api, context, id, StatusCode::ACCEPTED, replayed).await?;
    if !replayed {
        // However soon it was over.
        *response.status_mut() = StatusCode::ACCEPTED;
    }
    let headers = response.headers_mut();
    let location = context.url(&format!("/internal/backfills/{id}"));
    headers.extend(HeaderValue::try_from(location).ok().map(|location| (LOCATION, location)));
    if replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

async fn dry_run(
    conn: &mut PgConnection,
    request: &BackfillRequest,
    range: &BackfillRange,
) -> Result<Response, Problem> {
    let counts = (request.kind.count)(&mut *conn, range).await?;
    let future_days = range.future_days(conn).await?;
    let tenants: Vec<TenantSlices> = counts
        .into_iter()
        .map(|(tenant_id, slug, slices)| TenantSlices { tenant_id, tenant: slug.0, slices })
        .collect();
    let total = tenants.iter().map(|tenant| tenant.slices).sum();
    let kind = request.kind.name.to_owned();
    Ok(Json(DryRun { dry_run: true, kind, total, future_days, tenants }).into_response())
}

/// Lists backfills, newest first.
#[utoipa::path(
    get, path = "/internal/backfills", tag = "Backfills", params(Query::<Paging<Uuid>>),
    responses((status = 200, description = "A page of backfills", body = Page<BackfillResource>))
)]
pub(crate) async fn list_backfills(
    State(api): State<Api>,
    context: RequestContext,
    Query(paging): Query<Paging<Uuid>>,
) -> Result<Page<BackfillResource>, Problem> {
    let mut conn = api.pool.acquire().await?;
    let rows = backfill::list(&mut conn, paging.after, paging.rows()).await?;
    let Page { items, next } = paging.page(rows, &context, |row| row.id);
    let items = items.into_iter().map(|row| BackfillResource::new(&row, &api.catalog, &context.base));
    Ok(Page { items: items.collect::<Result<_, _>>()?, next })
}

/// Shows a backfill: how far it is, how fast, until when.
#[utoipa::path(
    get, path = "/internal/backfills/{id}", tag = "Backfills",
    params(("id" = Uuid, Path, description = "The backfill")),
    responses((status = 200, description = "The backfill", body = BackfillResource))
)]
pub(crate) async fn get_backfill(
    State(api): State<Api>,
    context: RequestContext,
    Path(id): Path<Uuid>,
    Query(()): Query<()>,
) -> Result<Response, Problem> {
    answer(&api, &context, id, StatusCode::OK, false).await
}

/// Sets the share of the workers that a backfill may use, from the next claim on.
#[utoipa::path(
    patch, path = "/internal/backfills/{id}", tag = "Backfills", request_body = SettingsBody,
    params(("id" = Uuid, Path, description = "The backfill")),
    responses(
        (status = 200, description = "The backfill as it is now", body = BackfillResource),
        (status = 404, description = "unknown_backfill, not_found: there is nothing with that name"),
        (status = 409, description = "wrong_state: it is final, or being cancelled")
    )
)]
pub(crate) async fn set_backfill(
    State(api): State<Api>,
    context: RequestContext,
    ServiceActor(actor): ServiceActor,
    Path(id): Path<Uuid>,
    request: SettingsRequest,
) -> Result<Response, Problem> {
    let mut tx = api.pool.begin().await?;
    let change = Change::begin(&mut tx, Subject::Backfill(id)).await?;
    backfill::update_settings(&mut tx, id, |settings| request.apply(settings)).await?;
    change.note(&mut tx, &actor, "backfill.set", &request.named()).await?;
    tx.commit().await?;
    answer(&api, &context, id, StatusCode::OK, false).await
}

/// Pauses a backfill: none of its jobs starts, and no more are created. Running jobs continue.
#[utoipa::path(
    post, path = "/internal/backfills/{id}/pause", tag = "Backfills",
    params(("id" = Uuid, Path, description = "The backfill")),
    responses(
        (status = 200, description = "The backfill, paused", body = BackfillResource),
        (status = 409, description = "wrong_state: it is final, or being cancelled")
    )
)]
pub(crate) async fn pause_backfill(
    State(api): State<Api>,
    context: RequestContext,
    ServiceActor(actor): ServiceActor,
    action: Action<Uuid>,
) -> Result<Response, Problem> {
    pause_or_resume(&api, &context, &actor, &action, true).await
}

/// Resumes a paused backfill.
#[utoipa::path(
    post, path = "/internal/backfills/{id}/resume", tag = "Backfills",
    params(("id" = Uuid, Path, description = "The backfill")),
    responses(
        (status = 200, description = "The backfill, resumed", body = BackfillResource),
        (status = 409, description = "wrong_state: it is final, or being cancelled")
    )
)]
pub(crate) async fn resume_backfill(
    State(api): State<Api>,
    context: RequestContext,
    ServiceActor(actor): ServiceActor,
    action: Action<Uuid>,
) -> Result<Response, Problem> {
    pause_or_resume(&api, &context, &actor, &action, false).await
}

async fn pause_or_resume(
    api: &Api,
    context: &RequestContext,
    actor: &Actor,
    action: &Action<Uuid>,
    paused: bool,
) -> Result<Response, Problem> {
    let id = action.target;
    let mut tx = api.pool.begin().await?;
    let first = action.is_first(&mut tx).await?;
    if first {
        set_paused(&mut tx, actor, Pausable::Backfill(id), paused).await?;
    }
    tx.commit().await?;
    Ok(answered(first, answer(api, context, id, StatusCode::OK, !first).await?))
}

/// Cancels a backfill: no more jobs are created, unfinished ones are cancelled, running ones are
/// told to stop.
///
/// A finished backfill stays as it is.
#[utoipa::path(
    post, path = "/internal/backfills/{id}/cancel", tag = "Backfills",
    params(("id" = Uuid, Path, description = "The backfill")),
    responses(
        (status = 200, description = "The backfill is final", body = BackfillResource),
        (status = 202, description = "Its jobs are being stopped", body = BackfillResource)
    )
)]
pub(crate) async fn cancel_backfill(
    State(api): State<Api>,
    context: RequestContext,
    ServiceActor(actor): ServiceActor,
    action: Action<Uuid>,
) -> Result<Response, Problem> {
    let id = action.target;
    let mut tx = api.pool.begin().await?;
    let first = action.is_first(&mut tx).await?;
    if first {
        let change = Change::begin(&mut tx, Subject::Backfill(id)).await?;
        backfill::request_cancel(&mut tx, id).await?;
        change.note(&mut tx, &actor, "backfill.cancel", &["state"]).await?;
    }
    tx.commit().await?;
    backfill::cancel(&api.pool, id).await?;
    Ok(answered(first, answer(&api, &context, id, StatusCode::ACCEPTED, !first).await?))
}

/// Retries the discarded jobs of a backfill, a few at a time. A finished backfill runs again.
#[utoipa::path(
    post, path = "/internal/backfills/{id}/retry_failed", tag = "Backfills",
    params(("id" = Uuid, Path, description = "The backfill")),
    responses(
        (status = 200, description = "No job has failed, and the backfill is final", body = BackfillResource),
        (status = 202, description = "The failed jobs will run again", body = BackfillResource),
        (status = 409, description = "wrong_state: it was cancelled")
    )
)]
pub(crate) async fn retry_failed_of_backfill(
    State(api): State<Api>,
    context: RequestContext,
    ServiceActor(actor): ServiceActor,
    action: Action<Uuid>,
) -> Result<Response, Problem> {
    let id = action.target;
    let mut tx = api.pool.begin().await?;
    let first = action.is_first(&mut tx).await?;
    if first {
        let change = Change::begin(&mut tx, Subject::Backfill(id)).await?;
        backfill::retry_failed(&mut tx, id).await?;
        change.note(&mut tx, &actor, "backfill.retry_failed", &["state", "retries_failed"]).await?;
    }
    tx.commit().await?;
    Ok(answered(first, answer(&api, &context, id, StatusCode::ACCEPTED, !first).await?))
}

/// The backfill as it is now; 200 once it is final.
async fn answer(
    api: &Api,
    context: &RequestContext,
    id: Uuid,
    status: StatusCode,
    replayed: bool,
) -> Result<Response, Problem> {
    let backfill = backfill::get(&mut *api.pool.acquire().await?, id).await?;
    let backfill = backfill.ok_or_else(|| Problem::unknown_backfill(id))?;
    let mut resource = BackfillResource::new(&backfill, &api.catalog, &context.base)?;
    resource.replayed = replayed;
    let (status, retry_after) =
        (if resource.is_final { StatusCode::OK } else { status }, resource.retry_after_s);
    let mut response = (status, Json(resource)).into_response();
    response.headers_mut().extend(retry_after.map(|seconds| (RETRY_AFTER, seconds.into())));
    Ok(response)
}
