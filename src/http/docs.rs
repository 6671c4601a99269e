//! The documentation: the `OpenAPI` document, Swagger UI and `ReDoc`, all from this binary.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};
use utoipa::openapi::OpenApi;
use weirgate_web::document::join_lines;
use weirgate_web::extract::Path;
use weirgate_web::problem::Problem;

use crate::http::Api;
use crate::http::routes::document;

/// What the pages need: their own scripts and requests, the styles their scripts write, `ReDoc`'s
/// search worker.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    font-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// The document as it is sent.
fn text(document: &OpenApi) -> serde_json::Result<String> {
    let mut document = serde_json::to_value(document)?;
    join_lines(&mut document);
    serde_json::to_string(&document)
}

/// The `OpenAPI` 3.1 document.
pub(crate) async fn get_openapi(State(api): State<Api>) -> Result<Response, Problem> {
    let made = api.document.get_or_init(|| text(&document(&api.catalog, &api.routes)).ok().map(Arc::from));
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

/// A file of Swagger UI: its name, its type and what is in it.
macro_rules! swagger_file {
    ($name:literal, $content_type:literal) => {
        ($name, $content_type, include_bytes!(concat!("assets/swagger-ui/", $name)))
    };
}

/// What the page of Swagger UI loads.
const SWAGGER_FILES: [(&str, &str, &[u8]); 5] = [
    swagger_file!("favicon-32x32.png", "image/png"),
    swagger_file!("swagger-initializer.js", "text/javascript"),
    swagger_file!("swagger-ui-bundle.js", "text/javascript"),
    swagger_file!("swagger-ui-standalone-preset.js", "text/javascript"),
    swagger_file!("swagger-ui.css", "text/css"),
];

pub(crate) async fn get_swagger_file(Path(name): Path<String>) -> Result<Response, Problem> {
    let file = SWAGGER_FILES.into_iter().find(|(known, ..)| *known == name);
    let (_, content_type, bytes) =
        file.ok_or_else(|| Problem::not_found("unknown_route", "Unknown route", "no such file"))?;
    Ok((asset_headers(content_type), bytes).into_response())
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
