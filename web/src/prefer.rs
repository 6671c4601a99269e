//! `Prefer: wait=N` (RFC 7240).

use std::time::Duration;

use axum::http::HeaderMap;

/// The longest a request is held.
pub const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// How long the caller prefers to wait, at most [`LONGEST_WAIT`]. A preference that is not
/// understood is ignored, as the RFC asks for; of several, the first counts.
pub fn wait(headers: &HeaderMap) -> Option<Duration> {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    preferences.flat_map(|value| value.split(',')).find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        let seconds: u64 = value.trim().trim_matches('"').parse().ok()?;
        name.trim().eq_ignore_ascii_case("wait").then(|| Duration::from_secs(seconds).min(LONGEST_WAIT))
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn wait_of(value: &'static str) -> Option<u64> {
        let headers = HeaderMap::from_iter([(
            axum::http::HeaderName::from_static("prefer"),
            HeaderValue::from_static(value),
        )]);
        wait(&headers).map(|wait| wait.as_secs())
    }

    #[test]
    fn waits() {
        assert_eq!(wait_of("wait=5"), Some(5));
        assert_eq!(wait_of("respond-async, Wait = \"7\"; foo=bar"), Some(7));
        assert_eq!(wait_of("wait=600"), Some(60));
        assert_eq!(wait_of("wait=soon"), None);
        assert_eq!(wait_of("wait"), None);
    }
}
