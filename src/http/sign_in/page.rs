//! The page on which people sign in, to the dashboard, to their account, or to an app that has sent
//! them here; and signing out.

use std::net::IpAddr;

use askama::Template;
use axum::extract::{OriginalUri, Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;
use weirgate_identity::accounts::Account;
use weirgate_identity::audit::{Actor, Via};
use weirgate_identity::{clients, memberships};
use weirgate_web::client_address::ClientAddress;
use weirgate_web::dashboard::frame::page;
use weirgate_web::dashboard::person::PersonForm;
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::sent::{given, is_ours, read_pairs};
use weirgate_web::problem::{Problem, Shown};

use super::check::{NotSignedIn, Refused};
use super::cookies::{self, Browser, redirect_with};
use super::limits::{Caller, short};
use super::next::Next;
use crate::http::Api;
use crate::http::oauth::find_client;
use crate::http::pages;

/// Largest form, in bytes. Anybody may send one.
const MOST_BYTES: usize = 16 * 1024;

/// What the page says to who has followed an invitation.
const PASSWORD_SET: &str = "Your password is set. Sign in with it.";

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    error: &'a str,
    /// What has just been done, if anything.
    notice: &'a str,
    email: &'a str,
    next: &'a str,
    /// The app that has sent somebody here.
    app: Option<&'a str>,
    /// Whether it is the dashboard that they want to see.
    to_dashboard: bool,
}

/// Where a sign-in comes from.
pub(in crate::http) struct Arrival {
    pub(in crate::http) headers: HeaderMap,
    pub(in crate::http) address: Option<IpAddr>,
}

pub(in crate::http) async fn show(State(api): State<Api>, request: Request) -> Result<Response, Refusal> {
    let uri = sent_to(&request);
    let query = uri.query().unwrap_or_default();
    let field = |wanted: &str| {
        let found = given(query.as_bytes()).find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.into_owned())
    };
    let next = Next::of(field("next").as_deref(), uri.path());
    // Who has chosen a password is shown what it is for, whoever is signed in in this browser.
    let notice = if field("password_set").is_some() { PASSWORD_SET } else { "" };
    let is_in = api.dashboard.person(request.headers()).await?.is_some();
    if is_in && notice.is_empty() && !next.wants_sign_in() {
        return Ok(Redirect::to(&next.path()).into_response());
    }
    let email = next.parameter("login_hint").or_else(|| field("email")).unwrap_or_default();
    let asked = App::of(&api, &next).await?;
    Ok(asked.page(&SignInPage {
        error: "",
        notice,
        email: &email,
        next: next.given(),
        app: asked.name(),
        to_dashboard: next.is_dashboard(),
    }))
}

pub(in crate::http) async fn sign_in(
    State(api): State<Api>,
    ClientAddress(address): ClientAddress,
    request: Request,
) -> Result<Response, Response> {
    let arrival = Arrival { headers: request.headers().clone(), address };
    let at = sent_to(&request).path().to_owned();
    // Only this is kept of the form while others are waited for.
    let [email, password, next] = read(request).await?;
    let (email, next) = (email.as_str(), Next::of(Some(&next), &at));
    let asked = App::of(&api, &next).await.map_err(failed)?;
    let again = |refused: Refused| {
        let words = refused.words();
        let mut response = asked.page(&SignInPage {
            error: &words,
            notice: "",
            email,
            next: next.given(),
            app: asked.name(),
            to_dashboard: next.is_dashboard(),
        });
        *response.status_mut() = refused.status();
        if let Some(seconds) = refused.seconds() {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(Shown);
        response
    };
    if !is_ours(&arrival.headers) {
        return Err(again(Refused::FromElsewhere));
    }
    let browser = Browser::known(&api, &arrival.headers, email).await.map_err(failed)?;
    let caller = Caller::new(email, address, browser.map(short));
    let account = match api.sign_ins.check(&api.web, &caller, email, &password).await {
        Ok(account) => account,
        Err(NotSignedIn::Refused(refused)) => {
            if matches!(refused, Refused::Wrong) {
                let via = if next.is_dashboard() { Via::Dashboard } else { Via::Account };
                api.sign_ins.note_failure(&api.pool, via, address, email).await.map_err(failed)?;
            }
            return Err(again(refused));
        }
        Err(NotSignedIn::Broken(error)) => return Err(failed(error)),
    };
    match begin(&api, &arrival, &account, &next).await.map_err(failed)? {
        Some((cookies, has_dashboard)) => Ok(redirect_with(cookies, &next.after_sign_in(has_dashboard))),
        None => Err(again(Refused::Wrong)),
    }
}

/// Where a request was sent: within the router of the pages, the path lacks what they lie below.
fn sent_to(request: &Request) -> &Uri {
    request.extensions().get::<OriginalUri>().map_or(request.uri(), |OriginalUri(uri)| uri)
}

/// The app that a page is shown for, if one has sent somebody here.
struct App(Option<clients::Client>, Option<String>);

impl App {
    async fn of(api: &Api, next: &Next) -> Result<Self, Problem> {
        let Some(id) = next.parameter("client_id") else { return Ok(Self(None, None)) };
        let client = find_client(api, &id).await?;
        let redirect = next.parameter("redirect_uri");
        Ok(Self(client, redirect))
    }

    fn name(&self) -> Option<&str> {
        self.0.as_ref().map(|client| client.name.as_str())
    }

    /// The page, whose form may lead back to the app.
    fn page(&self, template: &impl Template) -> Response {
        let response = page(template);
        let redirect = self
            .1
            .as_ref()
            .filter(|uri| self.0.as_ref().is_some_and(|client| client.redirect_uris.contains(*uri)));
        match redirect {
            Some(uri) => pages::leading_to(uri, response),
            None => response,
        }
    }
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

/// The cookies of a new session, and of a browser that is known from now on; and whether the
/// dashboard is for them.
async fn begin(
    api: &Api,
    arrival: &Arrival,
    account: &Account,
    next: &Next,
) -> sqlx::Result<Option<([HeaderValue; 2], bool)>> {
    let mut tx = api.pool.begin().await?;
    // A session from before ends: whoever knew its token does not know the new one's.
    cookies::end(api, &mut tx, &arrival.headers).await?;
    let Some(session) = cookies::begin(api, &mut tx, account, arrival).await? else { return Ok(None) };
    let browser = Browser::remember(api, &mut tx, &arrival.headers, account.id).await?;
    let role = memberships::on_platform(&memberships::of(&mut tx, account.id).await?);
    let actor = if next.is_dashboard() && role.is_some() {
        Actor::user(&account.email, arrival.address)
    } else {
        Actor::account(&account.email, arrival.address)
    };
    actor.note(&mut tx, "sign_in", &account.email, None, &json!({})).await?;
    tx.commit().await?;
    Ok(Some(([session, browser], role.is_some())))
}

/// Signs somebody out where they are: of the dashboard, or of their account.
pub(in crate::http) async fn sign_out(
    State(api): State<Api>,
    headers: HeaderMap,
    form: PersonForm,
) -> Result<Response, Refusal> {
    let mut tx = api.pool.begin().await?;
    let cookie = cookies::end(&api, &mut tx, &headers).await?;
    let (actor, page) = match form.person.role {
        Some(_) => (Actor::user(&form.person.email, form.address), "/dashboard/sign-in"),
        None => (Actor::account(&form.person.email, form.address), "/account/sign-in"),
    };
    actor.note(&mut tx, "sign_out", &form.person.email, None, &json!({})).await?;
    tx.commit().await?;
    Ok(redirect_with([cookie], page))
}
