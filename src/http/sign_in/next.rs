//! Where somebody goes once they are signed in: a page here, and nowhere else.

use std::borrow::Cow;

use weirgate_web::dashboard::sent::given;

/// Beginnings of what people may come from.
const HERE: [&str; 4] = ["/dashboard", "/board", "/account", "/oauth/authorize"];

/// Where to go afterwards.
#[derive(Debug)]
pub(super) struct Next {
    given: String,
    /// Whether the page for signing in is that of the dashboard.
    of_dashboard: bool,
}

impl Next {
    /// As a parameter says it, on the page at `at`.
    pub(super) fn of(next: Option<&str>, at: &str) -> Self {
        let is_here = |path: &&str| {
            HERE.iter()
                .filter_map(|here| path.strip_prefix(here))
                .any(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
                && !path.contains(['\\', '\n', '\r'])
        };
        let given = next.filter(is_here).unwrap_or_default().to_owned();
        Self { given, of_dashboard: at.starts_with("/dashboard") }
    }

    /// As it was given; empty where it names no page here.
    pub(super) fn given(&self) -> &str {
        &self.given
    }

    /// Whether it is a page of the dashboard.
    pub(super) fn is_dashboard(&self) -> bool {
        match self.given.as_str() {
            "" => self.of_dashboard,
            given => given.starts_with("/dashboard") || given.starts_with("/board"),
        }
    }

    /// Whether an app asks that somebody signs in, whoever is signed in already.
    pub(super) fn wants_sign_in(&self) -> bool {
        self.parameter("prompt").is_some_and(|it| it.split(' ').any(|it| it == "login"))
    }

    /// A parameter of an app's request.
    pub(super) fn parameter(&self, wanted: &str) -> Option<String> {
        let (_, query) = self.given.strip_prefix("/oauth/authorize")?.split_once('?')?;
        let found = given(query.as_bytes()).find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.into_owned())
    }

    /// For somebody who is signed in already.
    pub(super) fn path(&self) -> Cow<'_, str> {
        match self.given.as_str() {
            "" if self.of_dashboard => "/dashboard".into(),
            "" => "/account".into(),
            given => given.into(),
        }
    }

    /// For somebody who has just signed in. An app's wish that they do so is fulfilled, and does not
    /// go on.
    pub(super) fn after_sign_in(&self, has_dashboard: bool) -> Cow<'_, str> {
        if let Some((path, query)) =
            self.given.split_once('?').filter(|(path, _)| *path == "/oauth/authorize")
        {
            let rest = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "prompt");
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(rest).finish();
            return format!("{path}?{query}").into();
        }
        match self.path() {
            path if path == "/dashboard" && !has_dashboard => "/account".into(),
            path if self.given.is_empty() && path == "/account" && has_dashboard => "/dashboard".into(),
            path => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for elsewhere in [
            "https://example.com",
            "//example.com",
            "/dashboardx",
            "/dashboard\\@example.com",
            "/oauth/authorizer",
            "/account\nx",
            "/v1/jobs",
        ] {
            assert_eq!(Next::of(Some(elsewhere), "/dashboard/sign-in").path(), "/dashboard", "{elsewhere}");
        }
        for here in ["/dashboard/jobs?state=running", "/board", "/account", "/oauth/authorize?client_id=a"] {
            assert_eq!(Next::of(Some(here), "/account/sign-in").path(), here);
        }
    }

    #[test]
    fn who_names_no_page_goes_where_they_have_one() {
        let next = |at| Next::of(None, at);
        assert_eq!(next("/dashboard/sign-in").after_sign_in(true), "/dashboard");
        assert_eq!(next("/dashboard/sign-in").after_sign_in(false), "/account");
        assert_eq!(next("/account/sign-in").after_sign_in(true), "/dashboard");
        assert_eq!(next("/account/sign-in").after_sign_in(false), "/account");
        assert_eq!(Next::of(Some("/account"), "/account/sign-in").after_sign_in(true), "/account");
    }

    #[test]
    fn who_has_signed_in_for_an_app_is_not_asked_again() {
        let next =
            Next::of(Some("/oauth/authorize?client_id=desk&prompt=login&state=a%26b"), "/account/sign-in");
        assert!(next.wants_sign_in());
        assert_eq!(next.parameter("client_id").as_deref(), Some("desk"));
        assert_eq!(next.after_sign_in(false), "/oauth/authorize?client_id=desk&state=a%26b");
    }
}
