//! `Accept`: JSON everywhere, CSV where there is a table.

use axum::extract::Request;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use crate::problem::Problem;

/// How much a caller wants each, 0 to 1 (RFC 9110, section 12.5.1).
#[derive(Debug, Clone, Copy)]
pub struct Accepted {
    csv: f32,
    /// Where it is named, also as `application/*`.
    json: f32,
    /// Of anything else there is.
    any: f32,
}

impl Accepted {
    pub fn of(headers: &HeaderMap) -> Self {
        let given = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut accepted = Self { csv: 0.0, json: 0.0, any: 0.0 };
        for range in given.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(|it| it.strip_prefix("q=").or_else(|| it.strip_prefix("Q=")));
            let quality = quality.and_then(|q| q.parse().ok()).unwrap_or(1.0_f32);
            let wanted = match name.as_str() {
                "text/csv" => &mut accepted.csv,
                "application/json" | "application/*" => &mut accepted.json,
                "*/*" => &mut accepted.any,
                _ => continue,
            };
            *wanted = wanted.max(quality);
        }
        accepted
    }

    /// Whether CSV is named above JSON; JSON where nothing is said.
    pub fn prefers_csv(self) -> bool {
        self.csv > self.json
    }

    /// Whether CSV is asked for and nothing else will do.
    pub fn only_csv(self) -> bool {
        self.csv > 0.0 && self.json == 0.0 && self.any == 0.0
    }
}

/// Refuses who wants nothing but CSV, before anything is done.
pub async fn refuse_csv(request: Request, next: Next) -> Result<Response, Problem> {
    if Accepted::of(request.headers()).only_csv() {
        return Err(no_csv("this is not a list under /v1"));
    }
    Ok(next.run(request).await)
}

/// 406
pub fn no_csv(why: &str) -> Problem {
    let detail = format!("{why}, so it is not available as text/csv; ask for application/json");
    Problem::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", "Not acceptable", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (accept, prefers, only) in [
            ("", false, false),
            ("*/*", false, false),
            ("application/json, text/csv;q=0.9", false, false),
            ("text/csv", true, true),
            ("TEXT/CSV; charset=utf-8; q=0.5", true, true),
            ("text/csv, */*;q=0.1", true, false),
            ("text/csv, application/*;q=0.1", true, false),
            ("text/csv;q=0", false, false),
            ("text/event-stream", false, false),
            ("application/json;q=0, text/csv", true, true),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            let accepted = Accepted::of(&headers);
            assert_eq!((accepted.prefers_csv(), accepted.only_csv()), (prefers, only), "{accept}");
        }
    }
}
