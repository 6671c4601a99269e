//! A request that was not done: what the server said, in the words of the command line.

use reqwest::StatusCode;
use serde::Deserialize;

use super::address::Address;
use super::call::Call;

/// The server has refused a request.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refused {
    /// The kind of error, for programs; empty where what answered is no Weirgate.
    pub(crate) code: String,
    message: String,
}

/// An error of the API (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
    #[serde(default)]
    request_id: String,
    #[serde(default)]
    errors: Vec<FieldError>,
}

#[derive(Deserialize)]
struct FieldError {
    field: String,
    message: String,
}

/// Whether the same request may be answered otherwise soon.
pub(super) fn may_pass(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

impl Refused {
    pub(super) fn of(
        address: &Address,
        call: &Call,
        status: StatusCode,
        location: Option<&str>,
        body: &[u8],
    ) -> Self {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => Self { message: said(address, call, &problem), code: problem.code },
            Err(_) => Self { code: String::new(), message: foreign(address, call, status, location) },
        }
    }
}

/// What Weirgate said.
fn said(address: &Address, call: &Call, problem: &Problem) -> String {
    // Where the API has something is nothing for people at a command line.
    let clauses = problem.detail.split("; ").filter(|clause| !clause.contains("/internal/"));
    let detail = clauses.collect::<Vec<_>>().join("; ");
    match problem.code.as_str() {
        "unauthorized" => format!(
            "{address} rejects the token; set WEIRGATE_TOKEN or --token-file to the SERVICE_TOKEN of that server"
        ),
        "unknown_route" | "method_not_allowed" => format!(
            "the Weirgate at {address} has no {call}: it has another version than this one ({}), or the path of the URL is wrong",
            env!("CARGO_PKG_VERSION")
        ),
        "unknown_tenant" => format!("{detail}; `weirgate tenants list` shows them"),
        "tenant_inactive" => format!("{detail}; activate it with `weirgate tenants set … --active true`"),
        "slug_taken" => format!("{detail}; change it with `weirgate tenants set …`"),
        "unknown_schedule" => format!("{detail}; `weirgate schedules list` shows them"),
        "internal_error" => format!("{address}: {detail} {}", problem.request_id),
        _ if problem.errors.is_empty() => detail,
        _ => {
            let wrong = problem.errors.iter().map(|FieldError { field, message }| {
                let verb = if message.starts_with("is ") { "" } else { ":" };
                format!("{}{verb} {message}", call.name_of(field))
            });
            wrong.collect::<Vec<_>>().join("; ")
        }
    }
}

/// What answered is something else.
fn foreign(address: &Address, call: &Call, status: StatusCode, location: Option<&str>) -> String {
    match location {
        Some(location) if status.is_redirection() => {
            format!("{address} redirects {call} to {location}; use the URL that it leads to as the server")
        }
        _ if may_pass(status) => format!("a proxy in front of the Weirgate at {address} answers {status}"),
        _ => no_weirgate(address, call, status),
    }
}

pub(super) fn no_weirgate(address: &Address, call: &Call, status: StatusCode) -> String {
    format!(
        "{address} is not a Weirgate: it answers {status} to {call}. Is the URL right, with the path that a proxy has for it?"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(call: &Call, status: u16, location: Option<&str>, body: &str) -> String {
        let address = Address::parse("https://jobs.example.com/w").unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        Refused::of(&address, call, status, location, body.as_bytes()).to_string()
    }

    #[test]
    fn fields_have_the_names_of_options() {
        let call = Call::post(["internal", "backfills"]).option("max_running", "--max-running");
        let body = r#"{"code":"validation_failed","detail":"x","errors":[
            {"field":"max_running","message":"expected 1"},{"field":"kind","message":"expected compute_kpi"}]}"#;
        let said = refused(&call, 422, None, body);
        assert_eq!(said, "--max-running: expected 1; kind: expected compute_kpi");
    }

    #[test]
    fn paths_of_the_api_become_commands() {
        let call = Call::post(["internal", "tenants"]);
        let body = r#"{"code":"slug_taken","detail":"tenant \"acme\" already exists; PATCH /internal/tenants/acme changes it"}"#;
        let said = refused(&call, 409, None, body);
        assert_eq!(said, "tenant \"acme\" already exists; change it with `weirgate tenants set …`");
    }

    #[test]
    fn what_is_no_weirgate_is_said_with_what_to_look_at() {
        let call = Call::get(["internal", "jobs"]);
        assert!(refused(&call, 404, None, "<html>").contains("is not a Weirgate"));
        assert!(
            refused(&call, 302, Some("https://x.example"), "")
                .contains("redirects GET /internal/jobs to https://x.example")
        );
        assert!(refused(&call, 502, None, "<html>").contains("502 Bad Gateway"));
        let unknown = r#"{"code":"unknown_route","detail":"there is nothing under this path"}"#;
        assert!(refused(&call, 404, None, unknown).contains("another version"));
    }
}
