//! What a router answers.

use axum::body::Bytes;
use axum::http::response::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use uuid::Uuid;

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// With what all answers have in common.
    pub(crate) fn checked(path: &str, parts: Parts, body: Bytes) -> Self {
        let answer = Self { status: parts.status, headers: parts.headers, body };
        answer.check_what_all_have_in_common();
        // Scripts of other pages ask for tokens, and for nothing else.
        if !path.starts_with("/oauth/") && !path.starts_with("/.well-known/") {
            assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
        }
        answer
    }

    fn check_what_all_have_in_common(&self) {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(self.header(name), Some(value));
        }
        for name in ["x-request-id", "cache-control"] {
            assert!(self.header(name).is_some(), "{name}");
        }
        let policy = self.header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The JSON body of an answer with this status.
    pub fn ok(&self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The items of a page.
    pub fn items(&self) -> Vec<Value> {
        let Value::Array(items) = self.ok(StatusCode::OK)["items"].take() else { panic!("{}", self.text()) };
        items
    }

    /// One field of each item of a page.
    pub fn column(&self, name: &str) -> Vec<String> {
        self.items().iter().map(|item| item[name].as_str().expect(name).to_owned()).collect()
    }

    /// The problem of that status and code, with all that a problem has.
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(body["status"], status);
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["type"], format!("urn:weirgate:problem:{code}"));
        for text in ["title", "detail"] {
            assert!(!body[text].as_str().unwrap().is_empty(), "{text}");
        }
        assert!(body["instance"].as_str().unwrap().starts_with('/'), "{body}");
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"));
        body
    }

    /// The fields that a validation error names.
    pub fn wrong_fields(&self) -> Vec<String> {
        let problem = self.problem(422, "validation_failed");
        let errors = problem["errors"].as_array().unwrap();
        assert!(errors.iter().all(|error| !error["message"].as_str().unwrap().is_empty()), "{problem}");
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }
}

/// The id of a job, export or workflow in JSON.
pub fn id(value: &Value) -> Uuid {
    value.as_str().unwrap().parse().unwrap()
}
