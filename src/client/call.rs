//! One request to the API.

use std::fmt;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;

/// How long what may pass is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is asked. It may be sent several times and is one act.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    segments: Vec<String>,
    parameters: Vec<(String, String)>,
    body: Option<Value>,
    key: Option<String>,
    hold: Duration,
    patience: Duration,
    options: Vec<(String, String)>,
}

impl Call {
    fn new<S: Into<String>>(method: Method, path: impl IntoIterator<Item = S>) -> Self {
        // A lost answer must not become a second job.
        let key = (method == Method::POST).then(|| Uuid::now_v7().to_string());
        let segments = path.into_iter().map(Into::into).collect();
        Self {
            method,
            segments,
            parameters: Vec::new(),
            body: None,
            key,
            hold: Duration::ZERO,
            patience: PATIENCE,
            options: Vec::new(),
        }
    }

    pub(crate) fn get<S: Into<String>>(path: impl IntoIterator<Item = S>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post<S: Into<String>>(path: impl IntoIterator<Item = S>) -> Self {
        Self::new(Method::POST, path)
    }

    pub(crate) fn put<S: Into<String>>(path: impl IntoIterator<Item = S>, body: Value) -> Self {
        Self::new(Method::PUT, path).json(body)
    }

    pub(crate) fn patch<S: Into<String>>(path: impl IntoIterator<Item = S>, body: Value) -> Self {
        Self::new(Method::PATCH, path).json(body)
    }

    pub(crate) fn delete<S: Into<String>>(path: impl IntoIterator<Item = S>) -> Self {
        Self::new(Method::DELETE, path)
    }

    pub(crate) fn json(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    pub(crate) fn query(mut self, name: &str, value: &(impl ToString + ?Sized)) -> Self {
        self.parameters.push((name.to_owned(), value.to_string()));
        self
    }

    /// The same, where there is a value.
    pub(crate) fn some(self, name: &str, value: Option<&impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// The server is asked to hold the answer until something has happened, but no longer than
    /// that.
    pub(crate) fn held(self, hold: Duration) -> Self {
        Self { hold, ..self.query("wait", &hold.as_secs()) }
    }

    /// How long what may pass is waited for.
    pub(crate) fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// What a field of the request is called on the command line.
    pub(crate) fn option(mut self, field: &str, option: impl Into<String>) -> Self {
        self.options.push((field.to_owned(), option.into()));
        self
    }

    /// The words of the command line for a field that the server finds something wrong with.
    pub(super) fn name_of(&self, field: &str) -> String {
        let known = self.options.iter().find(|(name, _)| name == field);
        known.map_or_else(|| field.to_owned(), |(_, option)| option.clone())
    }

    /// The first value that is blank. For the API that is none, which may be far more than was
    /// asked for.
    pub(super) fn blank(&self) -> Option<String> {
        let of_query = self.parameters.iter().find(|(_, value)| value.trim().is_empty());
        let of_query = of_query.map(|(name, _)| name.clone());
        of_query.or_else(|| blank_in(self.body.as_ref()?, ""))
    }

    /// A part of the path that names nothing: URLs have none of them.
    pub(super) fn no_name(&self) -> Option<&str> {
        let is_none = |segment: &&str| matches!(segment.trim(), "" | "." | "..");
        self.segments.iter().map(String::as_str).find(is_none)
    }

    pub(super) fn method(&self) -> Method {
        self.method.clone()
    }

    pub(super) fn segments(&self) -> &[String] {
        &self.segments
    }

    pub(super) fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }

    pub(super) fn body(&self) -> Option<&Value> {
        self.body.as_ref()
    }

    pub(super) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    pub(super) fn hold(&self) -> Duration {
        self.hold
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }
}

/// The path of the first blank text in a body.
fn blank_in(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::String(text) if text.trim().is_empty() => Some(path.to_owned()),
        Value::Array(values) => values.iter().find_map(|value| blank_in(value, path)),
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            blank_in(value, &path)
        }),
        _ => None,
    }
}

/// For messages: the method and the path.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} /{}", self.method, self.segments.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_blank_value_is_found_wherever_it_is() {
        let call = || Call::post(["internal", "jobs", "bulk"]).query("force", &false);
        assert_eq!(call().json(json!({ "filter": { "kind": "x", "all": true }, "n": null })).blank(), None);
        assert_eq!(call().query("kind", " ").blank().as_deref(), Some("kind"));
        for (body, path) in [
            (json!({ "filter": { "args": { "date": "" } } }), "filter.args.date"),
            (json!({ "tenants": ["acme", " "] }), "tenants"),
        ] {
            assert_eq!(call().json(body).blank().as_deref(), Some(path));
        }
    }

    #[test]
    fn only_what_makes_something_has_a_key_and_keeps_it() {
        let call = Call::post(["internal", "backfills"]);
        assert!(call.key().is_some() && call.clone().key() == call.key());
        assert!(Call::get(["internal", "jobs"]).key().is_none());
    }
}
