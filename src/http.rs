//! The HTTP surface: every route is in [`router`].

mod account;
mod api;
mod auth;
pub(crate) mod backfill;
mod backfill_request;
mod browser_words;
mod dashboard;
mod docs;
mod health;
pub(crate) mod internal;
mod lane_facts;
mod limits;
mod metrics;
mod oauth;
mod openapi;
mod pages;
mod people;
mod queue_facts;
mod routes;
mod schemas;
mod sign_in;
mod sign_in_rows;
#[cfg(test)]
mod tests;
mod v1;
pub(crate) mod workflow;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::Redirect;
use axum::routing::get;
use weirgate_web::auth::{require_service, require_tenant};
use weirgate_web::domain::{Catalog, Domain};
use weirgate_web::layers::with_layers;

pub use crate::http::api::Api;
pub use crate::http::metrics::monitoring_router;
pub(crate) use crate::http::workflow::in_words;

/// Every route.
pub fn router(api: Api) -> Router {
    let routes = routes::routes(&api.catalog, &api.routes);
    let internal = routes.internal.route_layer(from_fn_with_state(api.web.clone(), require_service));
    let v1 = routes.v1.route_layer(from_fn_with_state(api.web.clone(), require_tenant));
    let (app, _) = routes.open.merge(internal).merge(v1).split_for_parts();
    let (tokens, _) = routes::tokens().split_for_parts();
    let app = app.merge(oauth::for_scripts(tokens, &api)).merge(oauth::preflights());
    let pages = Router::new()
        .nest("/dashboard", dashboard::router(&api.routes))
        .nest("/account", account::router())
        // As people type it.
        .route("/", get(async || Redirect::to("/dashboard")))
        .route("/dashboard/", get(async || Redirect::permanent("/dashboard")))
        .merge(oauth::page())
        .route("/account/", get(async || Redirect::permanent("/account")));
    #[cfg(feature = "board")]
    let pages = pages
        .nest("/board", dashboard::board::router())
        .route("/board/", get(async || Redirect::permanent("/board")));
    let app = app
        .merge(pages.route_layer(from_fn_with_state(api.clone(), dashboard::end_with_session)))
        .route("/openapi.json", get(docs::get_openapi))
        .route("/docs", get(docs::get_swagger))
        .route("/docs/{name}", get(docs::get_swagger_file))
        .route("/redoc", get(docs::get_redoc))
        .route("/redoc/redoc.standalone.js", get(docs::get_redoc_script));
    with_layers(app, &api.web).with_state(api)
}

/// The `OpenAPI` 3.1 document of a server with these domains.
pub fn openapi<A: Send + Sync + 'static>(domains: &[Domain<A, Api>]) -> utoipa::openapi::OpenApi {
    let own: Vec<_> = domains.iter().map(|domain| domain.routes).collect();
    routes::document(&Catalog::of(domains), &own)
}
