//! What a browser sends: a request of somebody who is signed in, a form of a page of ours.

use std::borrow::Cow;

use axum::extract::{FromRef, FromRequest, FromRequestParts, OriginalUri, Request};
use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use subtle::ConstantTimeEq;
use weirgate_identity::platform::Role;

use super::person::Person;
use super::refusal::Refusal;
use super::session::Session;
use super::state::Dashboard;
use crate::client_address::ClientAddress;
use crate::extract::{BODY_LIMIT, read_body_of};
use crate::params::{Fields, too_many};

impl<S> FromRequestParts<S> for Session
where
    S: Send + Sync,
    Dashboard: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let dashboard = Dashboard::from_ref(state);
        let ClientAddress(address) =
            ClientAddress::of(&dashboard.trusted_proxies, &parts.extensions, &parts.headers);
        let person = Person::from_request_parts(parts, state).await?;
        dashboard.session_of(person, address).ok_or_else(|| Refusal::no_role().into_response())
    }
}

/// Back here afterwards, where that is a page.
pub(super) fn to_sign_in(parts: &Parts) -> Response {
    // Within the router of the pages, the path lacks what they lie below.
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri);
    let page = uri.path_and_query().map_or("/", |it| it.as_str());
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("next", page.trim_end_matches('/'))
        .finish();
    let next = if parts.method == Method::GET { format!("?{query}") } else { String::new() };
    let surface = if page.starts_with("/dashboard") { "dashboard" } else { "account" };
    Redirect::to(&format!("/{surface}/sign-in{next}")).into_response()
}

/// A form that somebody who is signed in has sent from a page of ours.
pub struct Form {
    /// Who sent it.
    pub session: Session,
    /// What they sent, without what proves that the page was ours.
    pub fields: Fields,
}

impl Form {
    /// Refuses whoever may do less.
    pub fn require(&self, role: Role) -> Result<(), Refusal> {
        self.session.require(role)
    }
}

impl Form {
    /// Whether somebody has said yes to what they were told will happen; a form that has nothing
    /// else.
    pub fn confirmed(self) -> Result<(Session, bool), Refusal> {
        let Self { session, mut fields } = self;
        let confirmed = fields.get::<bool>("confirmed").unwrap_or(false);
        fields.finish(Some(())).map_err(|problem| Refusal::from(problem).for_session(&session))?;
        Ok((session, confirmed))
    }
}

impl<S> FromRequest<S> for Form
where
    S: Send + Sync,
    Dashboard: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let session = Session::from_request_parts(&mut parts, state).await?;
        match read_form(Request::from_parts(parts, body), &session.csrf).await? {
            SentForm::Ours(fields) => Ok(Self { session, fields }),
            SentForm::Refused(refusal) => Err(refusal.for_session(&session).into_response()),
        }
    }
}

/// What a form of a page has sent, if the page was ours.
pub(super) enum SentForm {
    Ours(Fields),
    Refused(Refusal),
}

/// Reads a form, which proves by `csrf` that its page was made for this session.
pub(super) async fn read_form(request: Request, csrf: &str) -> Result<SentForm, Response> {
    let refuse = |title, detail| SentForm::Refused(Refusal::new(StatusCode::FORBIDDEN, title, detail));
    if !is_ours(request.headers()) {
        return Ok(refuse("Request from another site", "Nothing was done. Use the pages of this site."));
    }
    let pairs = read_pairs(request, BODY_LIMIT).await?;
    let (given, rest): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(name, _)| name == "csrf");
    let right = matches!(given.as_slice(), [(_, given)] if given.as_bytes().ct_eq(csrf.as_bytes()).into());
    if !right {
        return Ok(refuse(
            "This page is out of date",
            "Nothing was done. Go back, reload the page, and try again.",
        ));
    }
    Ok(SentForm::Ours(Fields::of_pairs(rest)))
}

/// What a form of at most `limit` bytes has sent, without fields that were left empty. They are
/// counted before anything is kept of them.
pub async fn read_pairs(request: Request, limit: usize) -> Result<Vec<(String, String)>, Response> {
    let body =
        read_body_of(request, limit).await.map_err(|problem| Refusal::from(problem).into_response())?;
    if let Some(message) = too_many(given(&body).map(|(name, _)| name)) {
        let refusal = Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Too many fields", message);
        return Err(refusal.into_response());
    }
    Ok(filled(&body))
}

/// The fields that are not empty, of a query or a form.
pub fn filled(text: &[u8]) -> Vec<(String, String)> {
    given(text).map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// The same, one by one.
pub fn given(text: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(text).filter(|(_, value)| !value.is_empty())
}

/// Whether a request comes from a page of this host, as far as the browser says where it comes
/// from.
pub fn is_ours(headers: &HeaderMap) -> bool {
    let of = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = of("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    match (of(ORIGIN.as_str()), of(HOST.as_str())) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, from)| from == host),
        _ => true,
    }
}
