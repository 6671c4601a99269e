//! What an answer that is not a success means: wait, give up, or try again.

use std::time::Duration;

use chrono::DateTime;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use serde::Deserialize;

use super::SourceError;

/// The wait when an upstream asks for one and does not say how long.
const USUAL_WAIT: Duration = Duration::from_secs(30);
/// No wait is shorter: `Retry-After: 0` would be a busy loop.
pub(super) const LEAST_WAIT: Duration = Duration::from_secs(1);
/// No wait is longer: after a day, asking again costs nothing.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// What to look at when an upstream refuses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checks {
    /// The settings that sign in, as `check …` goes on.
    pub(super) credentials: &'static str,
    /// The rights they need, as `check …` goes on.
    pub(super) rights: &'static str,
}

/// What was asked for when an answer came: what is final in one place may pass in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A token, in exchange for the credentials.
    SignIn,
    /// The beginning of a list, whose address comes from the settings alone.
    FirstPage,
    /// The rest of a list, by a link, cursor or number, which may have expired.
    NextPage,
}

impl Step {
    /// The page at a cursor, or the first one.
    pub(super) fn page(cursor: Option<&String>) -> Self {
        if cursor.is_some() { Self::NextPage } else { Self::FirstPage }
    }
}

/// The error that stands for an answer.
pub(super) fn failed(
    origin: String,
    step: Step,
    status: StatusCode,
    headers: &HeaderMap,
    checks: &Checks,
) -> SourceError {
    if asks_to_wait(status, headers) {
        return SourceError::Throttled { origin, retry_after: retry_after(headers), place: None };
    }
    let code = status.as_u16();
    if may_pass(status) {
        return SourceError::Unreadable { origin, reason: format!("the answer has status {code}") };
    }
    let Checks { credentials, rights } = checks;
    let reason = match (status, step) {
        // RFC 6749 answers wrong credentials with 400 where HTTP would with 401.
        (StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, Step::SignIn) => {
            format!("the sign-in was rejected (status {code}): check {credentials}")
        }
        (StatusCode::UNAUTHORIZED, _) => {
            format!("the credentials were rejected (status 401): check {credentials}")
        }
        (StatusCode::FORBIDDEN, _) => format!("access is denied (status 403): check {rights}"),
        _ if status.is_redirection() => {
            format!("it redirects (status {code}), and redirects are not followed: check url")
        }
        (_, Step::NextPage) => {
            let reason = format!(
                "the cursor of its next page is no longer accepted (status {code}); the list is read again from its first page"
            );
            return SourceError::Unreadable { origin, reason };
        }
        (StatusCode::NOT_FOUND, _) => "there is no such address (status 404): check url".to_owned(),
        _ => format!("the request was rejected (status {code})"),
    };
    SourceError::Refused { origin, reason }
}

/// Whether the answer to a sign-in gives a reason that passes (RFC 6749, section 4.1.2.1, which
/// token endpoints use too).
pub(super) fn sign_in_may_pass(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let refusal = serde_json::from_slice::<Refusal>(body);
    refusal.is_ok_and(|it| matches!(&*it.error, "temporarily_unavailable" | "server_error" | "slow_down"))
}

/// Any error may say when to come back. A 401 would be no better then.
fn asks_to_wait(status: StatusCode, headers: &HeaderMap) -> bool {
    let is_error = status.is_client_error() || status.is_server_error();
    status == StatusCode::TOO_MANY_REQUESTS
        || (is_error && status != StatusCode::UNAUTHORIZED && headers.contains_key(RETRY_AFTER))
}

/// Whether the answer tells of a moment, and not of the request: the same request may be taken
/// later.
fn may_pass(status: StatusCode) -> bool {
    let of_the_request = status.is_client_error() || status.is_redirection();
    !of_the_request
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT
                | StatusCode::CONFLICT
                | StatusCode::GONE
                | StatusCode::MISDIRECTED_REQUEST
                | StatusCode::LOCKED
                | StatusCode::TOO_EARLY
        )
}

/// How long `Retry-After` asks to wait: seconds, or a date. A date is taken relative to the
/// answer's own `Date`, so that clocks need not agree.
fn retry_after(headers: &HeaderMap) -> Duration {
    let text = |name: HeaderName| headers.get(name).and_then(|it| it.to_str().ok()).map(str::trim);
    let instant = |text| DateTime::parse_from_rfc2822(text).ok();
    let asked = text(RETRY_AFTER).and_then(|value| {
        if let Ok(seconds) = value.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let (until, now) = (instant(value)?, instant(text(DATE)?)?);
        Some((until - now).to_std().unwrap_or_default())
    });
    asked.unwrap_or(USUAL_WAIT).clamp(LEAST_WAIT, LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    const CHECKS: Checks = Checks { credentials: "api_token", rights: "the role" };

    const STEPS: [Step; 3] = [Step::SignIn, Step::FirstPage, Step::NextPage];

    fn said_to(step: Step, status: u16, headers: &[(HeaderName, &'static str)]) -> SourceError {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        failed("https://x".to_owned(), step, StatusCode::from_u16(status).unwrap(), &headers, &CHECKS)
    }

    fn said(status: u16, headers: &[(HeaderName, &'static str)]) -> SourceError {
        said_to(Step::FirstPage, status, headers)
    }

    fn wait(status: u16, headers: &[(HeaderName, &'static str)]) -> u64 {
        match said(status, headers) {
            SourceError::Throttled { retry_after, .. } => retry_after.as_secs(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn throttling_says_how_long() {
        assert_eq!(wait(429, &[]), 30);
        assert_eq!(wait(429, &[(RETRY_AFTER, "7")]), 7);
        assert_eq!(wait(503, &[(RETRY_AFTER, " 7 ")]), 7);
        assert_eq!(wait(429, &[(RETRY_AFTER, "0")]), 1);
        assert_eq!(wait(429, &[(RETRY_AFTER, "99999999999")]), 86_400);
        for odd in ["soon", "-1", "1.5", ""] {
            assert_eq!(wait(429, &[(RETRY_AFTER, odd)]), 30, "{odd}");
        }
    }

    #[test]
    fn a_date_is_relative_to_the_answers_own() {
        let until = (RETRY_AFTER, "Wed, 21 Jan 2026 07:30:00 GMT");
        assert_eq!(wait(429, &[until.clone(), (DATE, "Wed, 21 Jan 2026 07:28:00 GMT")]), 120);
        assert_eq!(wait(429, &[until.clone(), (DATE, "Wed, 21 Jan 2026 08:00:00 GMT")]), 1);
        assert_eq!(wait(429, &[until]), 30);
    }

    #[test]
    fn refusals_name_what_to_check() {
        for (status, hint) in [
            (401, "check api_token"),
            (403, "check the role"),
            (404, "check url"),
            (302, "check url"),
            (422, "422"),
        ] {
            match said(status, &[]) {
                SourceError::Refused { reason, .. } => assert!(reason.contains(hint), "{status}: {reason}"),
                other => panic!("{status}: {other}"),
            }
        }
    }

    #[test]
    fn what_tells_of_a_moment_passes_at_every_step() {
        for step in STEPS {
            for status in [408, 409, 410, 421, 423, 425, 500, 502, 503, 504, 599] {
                let said = said_to(step, status, &[]);
                assert!(matches!(said, SourceError::Unreadable { .. }), "{step:?} {status}: {said}");
            }
        }
    }

    #[test]
    fn an_error_that_says_when_to_come_back_is_a_wait_at_every_step() {
        for step in STEPS {
            for status in [400, 403, 409, 423, 429, 500, 502, 503] {
                let said = said_to(step, status, &[(RETRY_AFTER, "7")]);
                assert!(matches!(said, SourceError::Throttled { .. }), "{step:?} {status}: {said}");
            }
            for status in [401, 302] {
                let said = said_to(step, status, &[(RETRY_AFTER, "7")]);
                assert!(matches!(said, SourceError::Refused { .. }), "{step:?} {status}: {said}");
            }
        }
    }

    #[test]
    fn what_is_final_on_the_first_page_is_an_expired_link_on_the_next() {
        for status in [400, 404, 405, 412, 416, 422] {
            for step in [Step::SignIn, Step::FirstPage] {
                let said = said_to(step, status, &[]);
                assert!(matches!(said, SourceError::Refused { .. }), "{step:?} {status}: {said}");
            }
            let said = said_to(Step::NextPage, status, &[]).to_string();
            assert!(said.contains("again from its first page"), "{status}: {said}");
        }
        for status in [401, 403, 302] {
            let said = said_to(Step::NextPage, status, &[]);
            assert!(matches!(said, SourceError::Refused { .. }), "{status}: {said}");
        }
    }

    #[test]
    fn a_sign_in_that_is_refused_for_the_moment_is_told_by_its_code() {
        for (body, passes) in [
            (r#"{"error": "temporarily_unavailable", "error_description": "busy"}"#, true),
            (r#"{"error": "server_error"}"#, true),
            (r#"{"error": "invalid_grant"}"#, false),
            (r#"{"error": {"code": "server_error"}}"#, false),
            ("temporarily_unavailable", false),
            ("", false),
        ] {
            assert_eq!(sign_in_may_pass(body.as_bytes()), passes, "{body}");
        }
    }
}
