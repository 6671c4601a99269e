//! Which pages' scripts may read what: what is public, all of them; answers about tokens, those
//! alone of apps that are known.

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use weirgate_identity::clients;
use weirgate_web::permits::under;
use weirgate_web::problem::Problem;

use crate::http::Api;

/// From which pages' scripts an answer about tokens may be read: those of its app.
#[derive(Clone)]
pub(super) struct Origins(pub(super) Vec<String>);

/// Lets scripts of any page read an answer.
pub(in crate::http) async fn any_origin(mut response: Response) -> Response {
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// Answers a browser that asks whether a page's script may send a request for tokens.
pub(in crate::http) async fn preflight(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(origin) = known_origin(&api, &headers).await? {
        let allowed = response.headers_mut();
        allowed.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        allowed.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        allowed.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type"));
        allowed.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    response.headers_mut().insert(VARY, HeaderValue::from_static("origin"));
    Ok(response)
}

/// Lets the script of a page read the answer about tokens, if the page is of an app that is known.
pub(in crate::http) async fn with_origin(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let origin = known_origin(&api, request.headers()).await?;
    let mut response = next.run(request).await;
    let is_theirs = |origin: &HeaderValue| {
        let of_client = response.extensions().get::<Origins>();
        of_client.is_none_or(|Origins(all)| all.iter().any(|known| origin == known))
    };
    if let Some(origin) = origin.filter(is_theirs) {
        response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response.headers_mut().insert(VARY, HeaderValue::from_static("origin"));
    Ok(response)
}

async fn known_origin(api: &Api, headers: &HeaderMap) -> Result<Option<HeaderValue>, Problem> {
    let Some(value) = headers.get(ORIGIN) else { return Ok(None) };
    let Ok(origin) = value.to_str() else { return Ok(None) };
    let (origin, pool) = (origin.to_owned(), api.pool.clone());
    let known = async move { clients::is_any_origin(&mut *pool.acquire().await?, &origin).await };
    let is_known = under(api.web.permits.of_sign_in().await?, known).await?;
    Ok(is_known.then(|| value.clone()))
}
