//! What may stand between a command and a server, or in its place.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use futures_util::stream;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use weirgate_web::tls::http_client;

/// Which answers are lost on their way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lose {
    /// The first answer to each request that changes something; it comes through when it is sent
    /// again.
    FirstOfEachPost,
}

#[derive(Clone)]
struct Proxy {
    prefix: String,
    to: String,
    lose: Lose,
    /// The keys of requests whose answers were lost.
    lost: Arc<Mutex<HashSet<String>>>,
    http: reqwest::Client,
}

/// A reverse proxy to `to` for the paths below `prefix`; its URL.
pub(super) async fn below(prefix: &str, to: &str, lose: Lose) -> String {
    let proxy = Proxy {
        prefix: prefix.to_owned(),
        to: to.to_owned(),
        lose,
        lost: Arc::default(),
        http: http_client().build().unwrap(),
    };
    format!("{}{prefix}", start(Router::new().fallback(forward).with_state(proxy)).await)
}

/// A web server that has one page.
pub(super) async fn page(html: &'static str) -> String {
    start(Router::new().fallback(move || async move { Html(html) })).await
}

/// A web server that sends everybody to another.
pub(super) async fn redirect(to: &'static str) -> String {
    start(Router::new().fallback(move || async move { Redirect::permanent(to) })).await
}

async fn start(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

async fn forward(State(proxy): State<Proxy>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().unwrap().as_str();
    let Some(path) = path.strip_prefix(&proxy.prefix) else {
        return (StatusCode::NOT_FOUND, Html("<html>nothing here</html>")).into_response();
    };
    let key = parts.headers.get("idempotency-key").map(|key| key.to_str().unwrap().to_owned());
    let mut headers = parts.headers;
    headers.remove("host");
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let url = format!("{}{path}", proxy.to);
    let answer = proxy.http.request(parts.method, url).headers(headers).body(body).send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.unwrap();
    let is_lost = match proxy.lose {
        Lose::FirstOfEachPost => key.is_some_and(|key| proxy.lost.lock().insert(key)),
    };
    // The connection breaks in the middle of the answer.
    let broken = || Body::from_stream(stream::once(async { Err::<&str, _>(std::io::Error::other("lost")) }));
    let mut response = Response::new(if is_lost { broken() } else { Body::from(body) });
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
