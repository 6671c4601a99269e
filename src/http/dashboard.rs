//! `/dashboard`: what operators look at. Pages are made here and work without JavaScript; with it
//! they are live.

mod account;
mod account_acts;
mod account_new;
mod accounts;
mod api_keys;
mod attention;
mod audit;
mod audit_entry;
mod backfill;
mod backfill_new;
mod backfills;
#[cfg(feature = "board")]
pub(crate) mod board;
mod chart;
mod charts;
mod failures;
mod graph;
mod heat;
mod job;
mod job_timeline;
mod jobs;
mod jobs_asked;
mod jobs_bulk;
mod jobs_row;
mod jobs_tabs;
mod lane;
mod limit_words;
mod navigation;
mod oauth_clients;
mod overview;
mod overview_tenants;
mod queue;
mod queues;
mod schedules;
mod tenant;
mod tenant_change;
mod tenant_keys;
mod tenant_new;
mod tenants;
mod workers;
mod workflow;
mod workflows;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, map_response};
use axum::response::Response;
use axum::routing::{get, post};
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::{assets, session};
use weirgate_web::domain::DomainRoutes;
use weirgate_web::watchers::{Credential, is_stream};

use crate::http::{Api, pages, sign_in};

pub(crate) use navigation::NAVIGATION;

/// Every page and what can be done there, with the pages of these domains.
pub(crate) fn router(domains: &[DomainRoutes<Api>]) -> Router<Api> {
    let all = domains.iter().fold(own_pages(), |all, domain| all.merge((domain.pages)()));
    all.fallback(async || Refusal::no_such_page()).layer(map_response(pages::secure))
}

/// The pages of the service itself.
fn own_pages() -> Router<Api> {
    Router::new()
        .route("/", get(overview::show))
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/live", get(overview::stream))
        .route("/charts", get(charts::show))
        .route("/jobs", get(jobs::list))
        .route("/jobs/rows", get(jobs::rows))
        .route("/jobs/tabs", get(jobs::tabs))
        .route("/jobs/bulk", post(jobs_bulk::bulk))
        .route("/jobs/{id}", get(job::show))
        .route("/jobs/{id}/events", get(job::events))
        .route("/jobs/{id}/cancel", post(job::cancel))
        .route("/jobs/{id}/retry", post(job::retry))
        .route("/jobs/{id}/run_now", post(job::run_now))
        .route("/jobs/{id}/priority", post(job::set_priority))
        .route("/tenants", get(tenants::list).post(tenant_new::create))
        // Not below the tenants: one may be called so.
        .route("/new-tenant", get(tenant_new::show))
        .route("/tenants/{tenant}", get(tenant::show))
        .route("/tenants/{tenant}/change", post(tenant_change::change))
        .route("/tenants/{tenant}/activate", post(tenant_change::activate))
        .route("/tenants/{tenant}/deactivate", post(tenant_change::deactivate))
        .route("/tenants/{tenant}/api-keys", post(tenant_keys::create))
        .route("/tenants/{tenant}/api-keys/{prefix}/revoke", post(tenant_keys::revoke))
        .route("/tenants/{tenant}/pause", post(tenant::pause))
        .route("/tenants/{tenant}/resume", post(tenant::resume))
        .route("/tenants/{tenant}/lanes/{queue}", get(lane::show))
        .route("/tenants/{tenant}/lanes/{queue}/pause", post(lane::pause))
        .route("/tenants/{tenant}/lanes/{queue}/resume", post(lane::resume))
        .route("/tenants/{tenant}/lanes/{queue}/limits", post(lane::limit))
        .route("/failures", get(failures::show))
        .route("/workflows", get(workflows::list))
        .route("/workflows/{id}", get(workflow::show))
        .route("/workflows/{id}/live", get(workflow::stream))
        .route("/workflows/{id}/cancel", post(workflow::cancel))
        .route("/workflows/{id}/retry-failed", post(workflow::retry_failed))
        .route("/backfills", get(backfills::list).post(backfill_new::create))
        .route("/backfills/live", get(backfills::stream))
        .route("/backfills/new", get(backfill_new::show))
        .route("/backfills/{id}", get(backfill::show))
        .route("/backfills/{id}/live", get(backfill::stream))
        .route("/backfills/{id}/pause", post(backfill::pause))
        .route("/backfills/{id}/resume", post(backfill::resume))
        .route("/backfills/{id}/cancel", post(backfill::cancel))
        .route("/backfills/{id}/retry_failed", post(backfill::retry_failed))
        .route("/schedules", get(schedules::list))
        .route("/schedules/{name}/run", post(schedules::run))
        .route("/schedules/{name}/pause", post(schedules::pause))
        .route("/schedules/{name}/resume", post(schedules::resume))
        .route("/queues", get(queues::list))
        .route("/queues/{name}", get(queue::show))
        .route("/queues/{name}/pause", post(queue::pause))
        .route("/queues/{name}/resume", post(queue::resume))
        .route("/queues/{name}/limits", post(queue::limit))
        .route("/workers", get(workers::list))
        .route("/workers/{id}", get(workers::show))
        .route("/workers/{id}/drain", post(workers::drain))
        .route("/accounts", get(accounts::list).post(account_new::create))
        .route("/accounts/new", get(account_new::show))
        .route("/accounts/clients", get(oauth_clients::list).post(oauth_clients::create))
        .route("/accounts/clients/{client}/disable", post(oauth_clients::disable))
        .route("/accounts/clients/{client}/enable", post(oauth_clients::enable))
        .route("/accounts/keys", get(api_keys::list))
        .route("/accounts/{id}", get(account::show))
        .route("/accounts/{id}/roles", get(account::back).post(account::give))
        .route("/accounts/{id}/roles/withdraw", post(account_acts::withdraw))
        .route("/accounts/{id}/invitation", get(account::back).post(account::invite))
        .route("/accounts/{id}/invitation/withdraw", post(account_acts::withdraw_invitation))
        .route("/accounts/{id}/sessions/{session}/end", post(account_acts::end_session))
        .route("/accounts/{id}/grants/{grant}/end", post(account_acts::end_grant))
        .route("/accounts/{id}/sign-out", post(account_acts::sign_out))
        .route("/accounts/{id}/disable", post(account_acts::disable))
        .route("/accounts/{id}/enable", post(account_acts::enable))
        .route("/audit", get(audit::show))
        .route("/app.css", get(async || assets::style()))
        .route("/app.js", get(async || assets::script()))
}

/// Ends the event stream that a request is answered with when the session ends that the request
/// came with.
pub(crate) async fn end_with_session(State(api): State<Api>, request: Request, next: Next) -> Response {
    let session = session::token_hash(request.headers());
    let response = next.run(request).await;
    match session.filter(|_| is_stream(&response)) {
        Some(session) => api.web.watchers.follow(Credential::Session(session)).hold(response),
        None => response,
    }
}
