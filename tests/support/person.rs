//! Somebody in front of the dashboard.

use axum::http::StatusCode;
use weirgate_identity::accounts::{self, New};
use weirgate_identity::memberships;
use weirgate_identity::platform::{self, Role};
use weirgate_test_support::Answer;

use super::TestApi;

pub(crate) const PASSWORD: &str = "a long password";

/// Somebody who is signed in.
pub(crate) struct Person<'a> {
    api: &'a TestApi,
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

impl<'a> Person<'a> {
    pub(crate) async fn new(api: &'a TestApi, email: &str, role: Role) -> Self {
        platform::create(&api.db().pool, email, role, PASSWORD).await.unwrap();
        Self::sign_in(api, email).await
    }

    pub(crate) async fn sign_in(api: &'a TestApi, email: &str) -> Self {
        Self::signed_in(api, "/dashboard", &sign_in(api, email, PASSWORD).await).await
    }

    /// Somebody with a role in MSP for `tenant_demo_cca`, and none on the dashboard.
    pub(crate) async fn reader(api: &'a TestApi, email: &str) -> Self {
        let mut conn = api.db().pool.acquire().await.unwrap();
        let new = New { email, password: Some(PASSWORD), ..New::default() };
        let account = accounts::create(&mut conn, new).await.unwrap();
        memberships::give(&mut conn, account.id, "msp", Some(api.cca.id), "reader").await.unwrap();
        Self::at_account(api, email).await
    }

    /// Somebody who signs in and has no role on the dashboard.
    pub(crate) async fn at_account(api: &'a TestApi, email: &str) -> Self {
        Self::signed_in(api, "/account", &sign_in_at(api, "/account", email, PASSWORD).await).await
    }

    /// Whom this answer has signed in, and led to that page.
    async fn signed_in(api: &'a TestApi, to: &str, answer: &Answer) -> Self {
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
        assert_eq!(answer.header("location"), Some(to));
        let set = answer.header("set-cookie").unwrap();
        for attribute in ["HttpOnly", "SameSite=Lax", "Path=/;"] {
            assert!(set.contains(attribute), "{set}");
        }
        let cookie = set.split(';').next().unwrap().to_owned();
        let nobody = Self { api, cookie, csrf: String::new() };
        let page = nobody.get(to).await;
        let (_, rest) = page.text().split_once(r#"name="csrf" value=""#).unwrap();
        Self { csrf: rest.split('"').next().unwrap().to_owned(), ..nobody }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.api.anonymous("GET", path).header("cookie", &self.cookie).send().await
    }

    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_with(path, &[&[("csrf", self.csrf.as_str())], fields].concat()).await
    }

    pub(crate) async fn post_with(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let call = self.api.anonymous("POST", path).header("cookie", &self.cookie);
        call.body("application/x-www-form-urlencoded", form(fields)).send().await
    }
}

pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

pub(crate) async fn sign_in(api: &TestApi, email: &str, password: &str) -> Answer {
    sign_in_at(api, "/dashboard", email, password).await
}

/// The same on the page of the dashboard, or of an account.
pub(crate) async fn sign_in_at(api: &TestApi, surface: &str, email: &str, password: &str) -> Answer {
    let fields = form(&[("email", email), ("password", password)]);
    let call = api.anonymous("POST", &format!("{surface}/sign-in"));
    call.body("application/x-www-form-urlencoded", fields).send().await
}

/// Who did what to what on pages, sign-ins left out.
pub(crate) async fn audited(api: &TestApi) -> Vec<(String, String, String)> {
    let sql = "select actor, action, target from identity.audit
        where via = 'dashboard' and action not like 'sign%' order by id";
    sqlx::query_as(sql).fetch_all(&api.db().pool).await.unwrap()
}
