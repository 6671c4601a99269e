//! What an answer that is not a success means: wait, give up, or try again.

use std::time::Duration;

use chrono::DateTime;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

use super::SourceError;

/// The wait when an upstream asks for one and does not say how long.
const USUAL_WAIT: Duration = Duration::from_secs(30);
/// No wait is shorter: `Retry-After: 0` would be a busy loop.
const LEAST_WAIT: Duration = Duration::from_secs(1);
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

/// The error that stands for an answer.
pub(super) fn failed(
    origin: String,
    status: StatusCode,
    headers: &HeaderMap,
    checks: &Checks,
) -> SourceError {
    let throttled = status == StatusCode::TOO_MANY_REQUESTS
        || (status == StatusCode::SERVICE_UNAVAILABLE && headers.contains_key(RETRY_AFTER));
    if throttled {
        return SourceError::Throttled { origin, retry_after: retry_after(headers) };
    }
    let code = status.as_u16();
    let Checks { credentials, rights } = checks;
    let reason = match status {
        StatusCode::UNAUTHORIZED => {
            format!("the credentials are not accepted (status 401): check {credentials}")
        }
        StatusCode::FORBIDDEN => format!("access is denied (status 403): check {rights}"),
        StatusCode::NOT_FOUND => "there is no such address (status 404): check url".to_owned(),
        _ if status.is_redirection() => {
            format!("it leads elsewhere (status {code}), which is not followed: check url")
        }
        _ if status.is_client_error() => format!("the request is not taken (status {code})"),
        _ => {
            let reason = format!("the answer has status {code}");
            return SourceError::Unreadable { origin, reason };
        }
    };
    SourceError::Refused { origin, reason }
}

/// How long `Retry-After` asks to wait: seconds, or a date. A date is taken relative to the answer's own `Date`, so
/// that clocks need not agree.
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

    fn said(status: u16, headers: &[(HeaderName, &'static str)]) -> SourceError {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        failed("https://x".to_owned(), StatusCode::from_u16(status).unwrap(), &headers, &CHECKS)
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
    fn refusals_name_what_to_check_and_server_errors_may_pass() {
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
        for status in [500, 502, 503, 504, 599] {
            assert!(matches!(said(status, &[]), SourceError::Unreadable { .. }), "{status}");
        }
    }
}
