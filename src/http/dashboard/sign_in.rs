//! Signing in and out.

use std::net::IpAddr;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;
use weirgate_identity::audit::Actor;
use weirgate_identity::users::User;
use weirgate_web::client_address::ClientAddress;
use weirgate_web::dashboard::frame::page;
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::sent::{Form, given, is_ours, read_pairs};
use weirgate_web::problem::Shown;

use super::sign_in_check::{NotSignedIn, Refused};
use super::sign_in_cookies::{self, Browser, redirect_with};
use super::sign_in_limits::{Caller, short};
use crate::http::Api;

/// Largest form, in bytes. Anybody may send one.
const MOST_BYTES: usize = 16 * 1024;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    error: &'a str,
    email: &'a str,
    next: &'a str,
}

pub(super) async fn show(State(api): State<Api>, request: Request) -> Result<Response, Refusal> {
    let query = request.uri().query().unwrap_or_default();
    let next = given(query.as_bytes()).find(|(name, _)| name == "next");
    let next = wanted(next.as_ref().map(|(_, value)| &**value));
    if api.dashboard.session(request.headers()).await?.is_some() {
        return Ok(Redirect::to(&next).into_response());
    }
    Ok(page(&SignInPage { error: "", email: "", next: &next }))
}

/// Where to go afterwards: a page here, and nowhere else.
fn wanted(next: Option<&str>) -> String {
    let is_here = |path: &&str| {
        let rest = path.strip_prefix("/dashboard").or_else(|| path.strip_prefix("/board"));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
            && !path.contains(['\\', '\n', '\r'])
    };
    next.filter(is_here).unwrap_or("/dashboard").to_owned()
}

pub(super) async fn sign_in(
    State(api): State<Api>,
    ClientAddress(address): ClientAddress,
    request: Request,
) -> Result<Response, Response> {
    let headers = request.headers().clone();
    // Only this is kept of the form while others are waited for.
    let [email, password, next] = read(request).await?;
    let (email, next) = (email.as_str(), wanted(Some(&next)));
    let again = |refused: Refused| {
        let mut response = page(&SignInPage { error: &refused.words(), email, next: &next });
        *response.status_mut() = refused.status();
        if let Some(seconds) = refused.seconds() {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(Shown);
        response
    };
    if !is_ours(&headers) {
        return Err(again(Refused::FromElsewhere));
    }
    let browser = Browser::known(&api, &headers, email).await.map_err(failed)?;
    let caller = Caller::new(email, address, browser.map(short));
    let user = match api.sign_ins.check(&api.web, &caller, email, &password).await {
        Ok(user) => user,
        Err(NotSignedIn::Refused(refused)) => {
            if matches!(refused, Refused::Wrong) {
                api.sign_ins.note_failure(&api.pool, address, email).await.map_err(failed)?;
            }
            return Err(again(refused));
        }
        Err(NotSignedIn::Broken(error)) => return Err(failed(error)),
    };
    let cookies = begin(&api, &headers, &user, address).await.map_err(failed)?;
    Ok(redirect_with(cookies, &next))
}

/// The values of the form's fields.
async fn read(request: Request) -> Result<[String; 3], Response> {
    let mut pairs = read_pairs(request, MOST_BYTES).await?;
    Ok(["email", "password", "next"].map(|wanted| {
        let field = pairs.iter_mut().find(|(name, _)| name == wanted);
        field.map(|(_, value)| std::mem::take(value)).unwrap_or_default()
    }))
}

fn failed(error: impl Into<Refusal>) -> Response {
    error.into().into_response()
}

/// The cookies of a new session, and of a browser that is known from now on.
async fn begin(
    api: &Api,
    headers: &HeaderMap,
    user: &User,
    address: Option<IpAddr>,
) -> sqlx::Result<[HeaderValue; 2]> {
    let mut tx = api.pool.begin().await?;
    // A session from before ends: whoever knew its token does not know the new one's.
    sign_in_cookies::end(api, &mut tx, headers).await?;
    let session = sign_in_cookies::begin(api, &mut tx, user).await?;
    let browser = Browser::remember(api, &mut tx, headers, user).await?;
    Actor::user(&user.email, address).note(&mut tx, "sign_in", &user.email, None, &json!({})).await?;
    tx.commit().await?;
    Ok([session, browser])
}

pub(super) async fn sign_out(
    State(api): State<Api>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Refusal> {
    let mut tx = api.pool.begin().await?;
    let cookie = sign_in_cookies::end(&api, &mut tx, &headers).await?;
    form.session.actor().note(&mut tx, "sign_out", &form.session.user.email, None, &json!({})).await?;
    tx.commit().await?;
    Ok(redirect_with([cookie], "/dashboard/sign-in"))
}
