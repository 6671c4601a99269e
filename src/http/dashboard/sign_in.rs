//! Signing in and out.

use askama::Template;
use axum::extract::{Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use super::act::note;
use super::session::{Form, Session, filled, is_ours, read_pairs, redirect_with};
use super::view::{Refusal, page};
use crate::http::Api;
use crate::http::problem::{Problem, Shown};
use crate::users::{self, UsersError};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    error: &'a str,
    email: &'a str,
    next: &'a str,
}

pub(super) async fn show(State(api): State<Api>, request: Request) -> Result<Response, Refusal> {
    let next = wanted(&filled(request.uri().query().unwrap_or_default().as_bytes()));
    if Session::of(&api, request.headers()).await?.is_some() {
        return Ok(Redirect::to(&next).into_response());
    }
    Ok(page(&SignInPage { error: "", email: "", next: &next }))
}

/// Where to go afterwards: a page here, and nowhere else.
fn wanted(pairs: &[(String, String)]) -> String {
    let next = pairs.iter().find(|(name, _)| name == "next").map(|(_, value)| value.as_str());
    let is_here = |path: &&str| {
        let rest = path.strip_prefix("/dashboard").or_else(|| path.strip_prefix("/board"));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
            && !path.contains(['\\', '\n', '\r'])
    };
    next.filter(is_here).unwrap_or("/dashboard").to_owned()
}

pub(super) async fn sign_in(State(api): State<Api>, request: Request) -> Result<Response, Response> {
    let headers = request.headers().clone();
    let pairs = read_pairs(request).await?;
    let of =
        |wanted: &str| pairs.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value.as_str());
    let (email, password, next) = (of("email"), of("password"), wanted(&pairs));
    let again = |status: StatusCode, error: &str| {
        let mut response = page(&SignInPage { error, email, next: &next });
        *response.status_mut() = status;
        response.extensions_mut().insert(Shown);
        response
    };
    if !is_ours(&headers) {
        return Err(again(StatusCode::FORBIDDEN, "This came from another site. Sign in here."));
    }
    if let Err(seconds) = api.sign_ins.check(email) {
        let mut response =
            again(StatusCode::TOO_MANY_REQUESTS, &format!("Too many attempts. Try again in {seconds} s."));
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
        return Err(response);
    }
    let refused = |error: sqlx::Error| Refusal::from(error).into_response();
    let user = match users::verify(&api.pool, email, password).await {
        Ok(user) => user,
        Err(UsersError::Database(error)) => return Err(refused(error)),
        Err(_) => return Err(Refusal::from(Problem::internal()).into_response()),
    };
    let Some(user) = user else {
        return Err(again(StatusCode::UNAUTHORIZED, "This email and this password do not belong together."));
    };
    // A session from before ends: whoever knew its token does not know the new one's.
    Session::end(&api, &headers).await.map_err(refused)?;
    let cookie = Session::begin(&api, &user).await.map_err(refused)?;
    let mut conn = api.pool.acquire().await.map_err(refused)?;
    note(&mut conn, &user, "sign_in", &user.email, &serde_json::json!({})).await.map_err(refused)?;
    Ok(redirect_with(cookie, &next))
}

pub(super) async fn sign_out(
    State(api): State<Api>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Refusal> {
    let cookie: HeaderValue = Session::end(&api, &headers).await?;
    let user = &form.session.user;
    note(&mut *api.pool.acquire().await?, user, "sign_out", &user.email, &serde_json::json!({})).await?;
    Ok(redirect_with(cookie, "/dashboard/sign-in"))
}
