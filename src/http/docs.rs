//! The documentation: the `OpenAPI` document, Swagger UI and `ReDoc`, all from this binary.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};
use utoipa_swagger_ui::Config;
use weirgate_web::extract::Path;
use weirgate_web::problem::Problem;

use crate::http::Api;

/// What the pages need: their own scripts and requests, the styles their scripts write, `ReDoc`'s search worker.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    font-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// The `OpenAPI` 3.1 document.
pub(crate) async fn get_openapi(State(api): State<Api>) -> Result<Response, Problem> {
    let made =
        api.document.get_or_init(|| super::document(&api.catalog, &api.routes).to_json().ok().map(Arc::from));
    let document = made.clone().ok_or_else(Problem::internal)?;
    Ok(([(CONTENT_TYPE, "application/json")], document.to_string()).into_response())
}

fn page(html: &'static str) -> Response {
    ([(CONTENT_SECURITY_POLICY, POLICY)], Html(html)).into_response()
}

pub(crate) async fn get_swagger() -> Response {
    page(include_str!("assets/docs.html"))
}

pub(crate) async fn get_redoc() -> Response {
    page(include_str!("assets/redoc.html"))
}

pub(crate) async fn get_swagger_file(Path(name): Path<String>) -> Result<Response, Problem> {
    let config = Arc::new(Config::from("openapi.json").validator_url("none"));
    // Swagger UI's own pages are made for another path and another policy.
    let is_page = std::path::Path::new(&name).extension().is_some_and(|it| it == "html");
    let file = if is_page { None } else { utoipa_swagger_ui::serve(&name, config).ok().flatten() };
    let file = file.ok_or_else(|| Problem::not_found("unknown_route", "Unknown route", "no such file"))?;
    Ok((asset_headers(&file.content_type), file.bytes.into_owned()).into_response())
}

pub(crate) async fn get_redoc_script() -> Response {
    (asset_headers("text/javascript"), include_str!("assets/redoc.standalone.js")).into_response()
}

fn asset_headers(content_type: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.extend(content_type.parse().ok().map(|it| (CONTENT_TYPE, it)));
    headers.insert(CACHE_CONTROL, axum::http::HeaderValue::from_static("public, max-age=3600"));
    headers
}
