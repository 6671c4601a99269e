//! Somebody who signs in to an app: a browser with its cookie, and the app with its tokens.

use axum::http::StatusCode;
use serde_json::Value;
use uuid::Uuid;
use weirgate_identity::{accounts, clients, memberships, pkce};
use weirgate_test_support::Answer;

use super::TestApi;
use super::person::{PASSWORD, form};

/// The app of these tests.
pub(crate) const CLIENT: &str = "desk";
/// Where it is sent its codes.
pub(crate) const REDIRECT: &str = "https://desk.example.com/signed-in?from=weirgate";
/// Where its pages are.
pub(crate) const ORIGIN: &str = "https://desk.example.com";
/// What its challenge is made of.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// Makes an account with a role of MSP in each of these tenants.
pub(crate) async fn member(api: &TestApi, email: &str, role: &str, tenants: &[Uuid]) -> Uuid {
    let mut conn = api.db().pool.acquire().await.unwrap();
    let new = accounts::New { email, full_name: "Grace Hopper", locale: "en", password: Some(PASSWORD) };
    let account = accounts::create(&mut conn, new).await.unwrap().id;
    for tenant in tenants {
        memberships::give(&mut conn, account, "msp", Some(*tenant), role).await.unwrap();
    }
    account
}

/// Makes the app known.
pub(crate) async fn know_client(api: &TestApi) {
    let (redirect_uris, origins) = ([REDIRECT.to_owned()], [ORIGIN.to_owned()]);
    let new =
        clients::New { client_id: CLIENT, name: "Desk", redirect_uris: &redirect_uris, origins: &origins };
    clients::create(&mut api.db().pool.acquire().await.unwrap(), new).await.unwrap();
}

/// The request of the app, with these parameters in place of its own; an empty one is left out.
pub(crate) fn authorize(instead: &[(&str, &str)]) -> String {
    let challenge = pkce::challenge_of(VERIFIER);
    let own = [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("redirect_uri", REDIRECT),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
        ("state", "a b&c"),
    ];
    let mut pairs: Vec<(&str, &str)> = own
        .into_iter()
        .map(|(name, value)| {
            let other = instead.iter().find(|(other, _)| *other == name);
            other.copied().unwrap_or((name, value))
        })
        .collect();
    pairs.extend(instead.iter().filter(|(name, _)| own.iter().all(|(other, _)| other != name)));
    pairs.retain(|(_, value)| !value.is_empty());
    format!("/oauth/authorize?{}", form(&pairs))
}

/// A browser in which somebody is signed in.
pub(crate) struct Browser<'a> {
    api: &'a TestApi,
    cookie: String,
}

impl<'a> Browser<'a> {
    pub(crate) async fn sign_in(api: &'a TestApi, email: &str) -> Self {
        let fields = form(&[("email", email), ("password", PASSWORD)]);
        let call = api.anonymous("POST", "/account/sign-in");
        let answer = call.body("application/x-www-form-urlencoded", fields).send().await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        Self { api, cookie }
    }

    /// Its name and its value.
    pub(crate) fn cookie(&self) -> &str {
        &self.cookie
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.api.anonymous("GET", path).header("cookie", &self.cookie).send().await
    }

    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let call = self.api.anonymous("POST", path).header("cookie", &self.cookie);
        call.body("application/x-www-form-urlencoded", form(fields)).send().await
    }

    /// The code that the app is sent.
    pub(crate) async fn code(&self, instead: &[(&str, &str)]) -> String {
        let answer = self.get(&authorize(instead)).await;
        sent(&answer, "code").unwrap_or_else(|| panic!("no code: {} {}", answer.status, answer.text()))
    }
}

/// What the app is sent by a redirect.
pub(crate) fn sent(answer: &Answer, wanted: &str) -> Option<String> {
    let location = answer.header("location")?;
    let rest = location.strip_prefix(REDIRECT)?.strip_prefix('&')?;
    form_urlencoded::parse(rest.as_bytes()).find(|(name, _)| name == wanted).map(|(_, it)| it.into_owned())
}

/// What the app is answered by `/oauth/token` for this form.
pub(crate) async fn token(api: &TestApi, fields: &[(&str, &str)]) -> Answer {
    let call = api.anonymous("POST", "/oauth/token");
    call.body("application/x-www-form-urlencoded", form(fields)).send().await
}

/// The form for a code.
pub(crate) fn of_code(code: &str) -> [(&str, &str); 5] {
    [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ]
}

/// The form for a refresh token.
pub(crate) fn of_refresh(token: &str) -> [(&str, &str); 3] {
    [("grant_type", "refresh_token"), ("client_id", CLIENT), ("refresh_token", token)]
}

/// Tokens of somebody who has signed in to the app.
pub(crate) async fn tokens(api: &TestApi, email: &str) -> Tokens {
    let code = Browser::sign_in(api, email).await.code(&[]).await;
    Tokens::of(&token(api, &of_code(&code)).await)
}

/// Tokens of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Tokens {
    pub(crate) fn of(answer: &Answer) -> Self {
        let body = answer.ok(StatusCode::OK);
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }

    pub(crate) async fn next(&self, api: &TestApi) -> Self {
        Self::of(&token(api, &of_refresh(&self.refresh)).await)
    }
}

/// Who an access token says is signed in.
pub(crate) async fn me(api: &TestApi, access: &str) -> Answer {
    api.anonymous("GET", "/api/v1/auth/me").header("authorization", &format!("Bearer {access}")).send().await
}

/// The error of a refused request for tokens.
pub(crate) fn error(answer: &Answer, status: u16) -> String {
    let body: Value = answer.ok(StatusCode::from_u16(status).unwrap());
    assert!(!body["error_description"].as_str().unwrap().is_empty());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    body["error"].as_str().unwrap().to_owned()
}
