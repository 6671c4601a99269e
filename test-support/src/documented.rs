//! What the `OpenAPI` document says of each operation, held against every answer that a test gets.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use serde_json::Value;
use tokio::sync::OnceCell;
use tower::ServiceExt;

/// What the document of an API says, read when it is needed first.
pub type Documented = Arc<OnceCell<Operations>>;

/// The statuses each operation may answer with.
#[derive(Debug)]
pub struct Operations(Vec<Operation>);

#[derive(Debug)]
struct Operation {
    method: String,
    /// Its path; `None` stands for a parameter.
    segments: Vec<Option<String>>,
    statuses: BTreeSet<String>,
}

impl Operations {
    /// Of the document that the router serves.
    pub(crate) async fn of(router: Router) -> Self {
        let request = Request::get("/openapi.json").body(Body::empty()).unwrap();
        let answer = router.oneshot(request).await.unwrap();
        let document = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let document: Value = serde_json::from_slice(&document).unwrap();
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            let segments: Vec<_> =
                path.split('/').map(|part| (!part.starts_with('{')).then(|| part.to_owned())).collect();
            for (method, operation) in item.as_object().unwrap() {
                let Some(responses) = operation["responses"].as_object() else { continue };
                operations.push(Operation {
                    method: method.to_uppercase(),
                    segments: segments.clone(),
                    statuses: responses.keys().cloned().collect(),
                });
            }
        }
        Self(operations)
    }

    /// Panics when the operation's document does not know the status. Paths and methods that are no
    /// operation pass.
    pub(crate) fn check(&self, method: &Method, path: &str, status: StatusCode) {
        let parts: Vec<_> = path.split('/').collect();
        let named = |operation: &&Operation| operation.segments.iter().flatten().count();
        let operation = self.0.iter().filter(|operation| operation.is(method, &parts)).max_by_key(named);
        if let Some(Operation { statuses, .. }) = operation {
            assert!(
                statuses.contains(status.as_str()),
                "{method} {path} answered {status}; its document knows {statuses:?}"
            );
        }
    }
}

impl Operation {
    fn is(&self, method: &Method, parts: &[&str]) -> bool {
        self.method == method.as_str()
            && self.segments.len() == parts.len()
            && self
                .segments
                .iter()
                .zip(parts)
                .all(|(segment, part)| segment.as_deref().is_none_or(|s| s == *part))
    }
}
