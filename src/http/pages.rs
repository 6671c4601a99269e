//! What all pages are sent with.

use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::response::Response;

/// Nothing from elsewhere, and no script or style in the pages themselves.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Adds the headers of a page, as far as it has none of its own.
pub(super) async fn secure(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A page whose form may end at an app: browsers follow no redirect of a form to where the policy
/// does not allow it.
pub(super) fn leading_to(redirect_uri: &str, mut response: Response) -> Response {
    let end =
        redirect_uri.find("://").and_then(|at| redirect_uri[at + 3..].find(['/', '?']).map(|it| at + 3 + it));
    let origin = &redirect_uri[..end.unwrap_or(redirect_uri.len())];
    let policy = POLICY.replace("form-action 'self'", &format!("form-action 'self' {origin}"));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn a_form_may_lead_to_the_app_and_nowhere_else() {
        for (uri, origin) in [
            ("https://desk.example.com/signed-in", "https://desk.example.com"),
            ("http://127.0.0.1:5173?in=1", "http://127.0.0.1:5173"),
            ("https://desk.example.com", "https://desk.example.com"),
        ] {
            let response = leading_to(uri, "page".into_response());
            let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.contains(&format!("form-action 'self' {origin};")), "{policy}");
        }
    }
}
