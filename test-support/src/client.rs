//! Calls of a router, without sockets.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, request};
use axum::response::Response;
use serde_json::Value;
use tokio::time::timeout;
use tower::ServiceExt;

use crate::Answer;
use crate::documented::{Documented, Operations};

/// What the service is known by in tests.
pub const SERVICE_TOKEN: &str = "the-service-token-of-the-tests";

/// A test that would hang fails after this.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);

/// Calls a router, as whoever the test says, and holds each answer against the `OpenAPI` document
/// that the router serves.
#[derive(Debug, Clone)]
pub struct Client {
    router: Router,
    documented: Documented,
}

impl Client {
    /// Of routers that serve the same document, one is asked for it when they share `documented`.
    pub fn new(router: Router, documented: Documented) -> Self {
        Self { router, documented }
    }

    /// To be served on a socket.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// A call without a credential.
    pub fn anonymous(&self, method: &str, target: &str) -> Call {
        let request = Request::builder().method(method).uri(target).header("x-request-id", "test-1");
        Call { client: self.clone(), request, body: Body::empty() }
    }

    /// A call of the service.
    pub fn service(&self, method: &str, target: &str) -> Call {
        self.anonymous(method, target).header("authorization", &format!("Bearer {SERVICE_TOKEN}"))
    }

    /// A call of whoever has this API key.
    pub fn with_key(&self, key: &str, method: &str, target: &str) -> Call {
        self.anonymous(method, target).header("x-api-key", key)
    }

    /// `GET` of the service.
    pub async fn get(&self, target: &str) -> Answer {
        self.service("GET", target).send().await
    }

    /// `POST` of the service, without a body.
    pub async fn post(&self, target: &str) -> Answer {
        self.service("POST", target).send().await
    }

    /// The job that a `POST` enqueues.
    pub async fn enqueue(&self, target: &str) -> Value {
        self.post(target).await.ok(StatusCode::ACCEPTED)
    }
}

/// A request being put together.
#[must_use]
#[derive(Debug)]
pub struct Call {
    client: Client,
    request: request::Builder,
    body: Body,
}

impl Call {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Some(headers) = self.request.headers_mut() {
            headers.remove(name);
        }
        self.request = self.request.header(name, value);
        self
    }

    /// As if it came over a socket from this address.
    pub fn from(mut self, address: &str) -> Self {
        let peer = SocketAddr::new(address.parse().unwrap(), 40_000);
        self.request = self.request.extension(ConnectInfo(peer));
        self
    }

    pub fn json(self, body: impl Into<String>) -> Self {
        self.body("application/json", body)
    }

    pub fn body(mut self, media_type: &str, body: impl Into<String>) -> Self {
        self.body = Body::from(body.into());
        self.header("content-type", media_type)
    }

    /// The answer once its head is there. Its status is one that the `OpenAPI` document names.
    pub async fn start(self) -> Response {
        let request = self.request.body(self.body).unwrap();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let Client { router, documented } = self.client;
        let answer = router.clone().oneshot(request).await.unwrap();
        let operations = documented.get_or_init(|| Operations::of(router)).await;
        operations.check(&method, &path, answer.status());
        answer
    }

    /// The whole answer.
    pub async fn send(self) -> Answer {
        let path = self.request.uri_ref().map(|uri| uri.path().to_owned()).unwrap_or_default();
        let whole = async {
            let (parts, body) = self.start().await.into_parts();
            (parts, to_bytes(body, usize::MAX).await.unwrap())
        };
        let (parts, body) = timeout(LONGEST_ANSWER, whole).await.expect("the answer ends");
        Answer::checked(&path, parts, body)
    }
}
