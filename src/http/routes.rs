//! The routes of the API, and the document that is made from them.

use axum::middleware::{from_fn, map_response};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weirgate_web::domain::{Catalog, DomainRoutes};
use weirgate_web::scoped::{all_scoped, scoped};
use weirgate_web::{accept, document};

use crate::http::{Api, auth, health, internal, metrics, oauth, openapi, schemas, v1};
use crate::operations::READ_JOBS;

/// The `OpenAPI` 3.1 document of the operations and these domains.
pub(super) fn document(catalog: &Catalog, domains: &[DomainRoutes<Api>]) -> utoipa::openapi::OpenApi {
    let Routes { open, internal, v1 } = routes(catalog, domains);
    let (_, mut document) = open.merge(tokens()).merge(internal).merge(v1).split_for_parts();
    let components = document.components.get_or_insert_default();
    let of_domains = [schemas::kinds_of_backfills(catalog.backfills()), schemas::scopes(catalog.scopes())];
    for (name, schema) in of_domains {
        components.schemas.insert(name.to_owned(), schema.into());
    }
    document::complete(&mut document);
    document
}

/// Routes by who may call them.
pub(super) struct Routes {
    pub(super) open: OpenApiRouter<Api>,
    pub(super) internal: OpenApiRouter<Api>,
    pub(super) v1: OpenApiRouter<Api>,
}

/// What browser apps read and ask for, by scripts of their own pages.
fn open_to_scripts() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(oauth::authorization_server))
        .routes(routes!(oauth::jwks))
        .route_layer(map_response(oauth::any_origin))
}

/// Those of tokens, which scripts of known apps alone may use.
pub(super) fn tokens() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(oauth::token)).routes(routes!(oauth::revoke_token))
}

/// Those of the operations, and of these domains.
///
/// # Panics
/// When a route below `/v1` asks for no scope.
pub(super) fn routes(catalog: &Catalog, domains: &[DomainRoutes<Api>]) -> Routes {
    let open = OpenApiRouter::with_openapi(openapi::Document::openapi())
        .routes(routes!(health::get_health))
        .routes(routes!(health::get_readiness))
        .routes(routes!(metrics::get_metrics))
        .routes(routes!(auth::login))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(auth::me))
        .routes(routes!(auth::set_password))
        .merge(open_to_scripts());
    let internal = OpenApiRouter::new()
        .routes(routes!(internal::backfills::list_backfills))
        .routes(routes!(internal::backfills::get_backfill, internal::backfills::set_backfill))
        .routes(routes!(internal::backfills::pause_backfill))
        .routes(routes!(internal::backfills::resume_backfill))
        .routes(routes!(internal::backfills::cancel_backfill))
        .routes(routes!(internal::backfills::retry_failed_of_backfill))
        .routes(routes!(internal::jobs::list_jobs))
        .routes(routes!(internal::jobs::get_job))
        .routes(routes!(internal::jobs::stream_job))
        .routes(routes!(internal::jobs::cancel_job))
        .routes(routes!(internal::jobs::retry_job))
        .routes(routes!(internal::jobs::run_job_now))
        .routes(routes!(internal::jobs::set_job_priority))
        .routes(routes!(internal::bulk::bulk_jobs))
        .routes(routes!(internal::workflows::list_workflows))
        .routes(routes!(internal::workflows::get_workflow))
        .routes(routes!(internal::workflows::retry_failed_of_workflow))
        .routes(routes!(internal::workflows::cancel_workflow))
        .routes(routes!(internal::queues::list_queues))
        .routes(routes!(internal::queues::get_queue))
        .routes(routes!(internal::queues::pause_queue))
        .routes(routes!(internal::queues::resume_queue))
        .routes(routes!(internal::queues::set_queue_limits))
        .routes(routes!(internal::limits::get_tenant_limits, internal::limits::set_tenant_limits))
        .routes(routes!(internal::tenants::list_tenants, internal::tenants::create_tenant))
        .routes(routes!(internal::tenants::get_tenant, internal::tenants::change_tenant))
        .routes(routes!(internal::keys::list_api_keys))
        .routes(routes!(internal::keys::list_api_keys_of_tenant, internal::keys::create_api_key))
        .routes(routes!(internal::keys::delete_api_key))
        .routes(routes!(internal::keys::list_scopes))
        .routes(routes!(internal::failures::list_failures))
        .routes(routes!(internal::audit::list_audit))
        .routes(routes!(internal::workers::list_workers))
        .routes(routes!(internal::workers::drain_worker))
        .routes(routes!(internal::schedules::list_schedules))
        .routes(routes!(internal::schedules::change_schedule))
        .routes(routes!(internal::schedules::pause_schedule))
        .routes(routes!(internal::schedules::resume_schedule))
        .routes(routes!(internal::schedules::run_schedule))
        .route_layer(from_fn(accept::refuse_csv));
    let v1 = OpenApiRouter::new()
        .routes(scoped(READ_JOBS, routes!(v1::jobs::get_job)))
        .routes(scoped(READ_JOBS, routes!(v1::jobs::stream_job)))
        .route_layer(from_fn(accept::refuse_csv))
        // A table.
        .routes(scoped(READ_JOBS, routes!(v1::jobs::list_jobs)));
    let backfills = OpenApiRouter::new()
        .routes(routes!(internal::backfills::create_backfill))
        .route_layer(from_fn(accept::refuse_csv));
    let internal = if catalog.backfills().is_empty() { internal } else { internal.merge(backfills) };
    let routes =
        domains.iter().fold(Routes { open, internal, v1 }, |Routes { open, internal, v1 }, domain| Routes {
            open,
            internal: internal.merge((domain.internal)()),
            v1: v1.merge((domain.v1)()),
        });
    Routes { v1: all_scoped(routes.v1), ..routes }
}
