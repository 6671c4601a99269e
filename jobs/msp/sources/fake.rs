//! A fake upstream on this machine, for tests: answers as it is told, and remembers what it was
//! asked.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Response};
use futures_util::TryStreamExt;
use parking_lot::Mutex;
use reqwest::Client;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use chrono_tz::Tz;

use super::rows::Row;
use super::upstream::client_builder;
use super::{RowStream, SourceError, SourceRow, parse};

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it.to_str().expect("text"))
    }

    /// The scheme and host that were asked.
    pub(super) fn base(&self) -> String {
        format!("http://{}", self.header("host"))
    }
}

/// An answer to give.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Told {
    pub(super) fn status(status: u16) -> Self {
        // A body as some upstreams have it, which no error may repeat.
        Self { status, headers: Vec::new(), body: r#"{"message":"hunter2"}"#.to_owned() }
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

impl From<Value> for Told {
    fn from(body: Value) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.to_string() }
    }
}

/// The server; it ends with the value.
#[derive(Debug)]
pub(super) struct Fake {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    server: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Fake {
    pub(super) async fn start(answer: impl Fn(&Asked) -> Told + Clone + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let remembered = Arc::clone(&asked);
        let handler = move |request: Request| {
            let (answer, remembered) = (answer.clone(), Arc::clone(&remembered));
            async move {
                let (head, body) = request.into_parts();
                let body = to_bytes(body, usize::MAX).await.expect("a body");
                let body = String::from_utf8(body.to_vec()).expect("text");
                let asked = Asked { target: head.uri.to_string(), headers: head.headers, body };
                let told = answer(&asked);
                remembered.lock().push(asked);
                let mut response = Response::builder().status(told.status);
                for (name, value) in told.headers {
                    response = response.header(name, value);
                }
                response.body(Body::from(told.body)).expect("a response")
            }
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(handler);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
        Self { url, asked, server }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    pub(super) fn targets(&self) -> Vec<String> {
        self.asked().into_iter().map(|it| it.target).collect()
    }
}

/// As in production, but a proxy of the environment is not for this machine.
pub(super) fn client() -> Client {
    client_builder().no_proxy().build().expect("a client")
}

pub(super) fn settings<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).expect("settings")
}

/// All rows, which must be free of errors.
pub(super) async fn all(rows: RowStream) -> Vec<SourceRow> {
    rows.try_collect().await.expect("no error")
}

/// The rows before the error, and the error.
pub(super) async fn until_error(mut rows: RowStream) -> (usize, SourceError) {
    for count in 0.. {
        match rows.try_next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("no error"),
            Err(error) => {
                assert!(matches!(rows.try_next().await, Ok(None)), "the stream goes on after {error}");
                return (count, error);
            }
        }
    }
    unreachable!()
}

/// What the ingest makes of a row.
pub(super) fn parsed<R: Row>(row: &SourceRow) -> Result<R, String> {
    parse(row.json.as_ref().expect("a text"), "tenant_a", Tz::UTC)
}

/// A row as JSON.
pub(super) fn json(row: &SourceRow) -> Value {
    serde_json::from_str(row.json.as_ref().expect("a text")).expect("JSON")
}
