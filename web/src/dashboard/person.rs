//! Anybody who is signed in, on pages that are for all of them: what they may do on the dashboard is
//! not asked.

use std::net::IpAddr;

use axum::extract::{FromRef, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use uuid::Uuid;
use weirgate_identity::audit::Actor;
use weirgate_identity::platform::Role;
use weirgate_identity::sessions;

use super::refusal::Refusal;
use super::sent::{SentForm, read_form, to_sign_in};
use super::state::Dashboard;
use crate::auth::note_known;
use crate::client_address::ClientAddress;
use crate::params::Fields;

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct Person {
    /// Names the session on pages.
    pub session: Uuid,
    /// Who they are.
    pub account: Uuid,
    /// What they sign in with.
    pub email: String,
    /// For people; empty where it is not known.
    pub full_name: String,
    /// What they may do on the dashboard, if anything.
    pub role: Option<Role>,
    /// What their forms are sent with.
    pub csrf: String,
}

impl From<sessions::Session> for Person {
    fn from(session: sessions::Session) -> Self {
        let sessions::Session { id, account, email, full_name, role, csrf } = session;
        Self { session: id, account, email, full_name, role, csrf }
    }
}

impl<S> FromRequestParts<S> for Person
where
    S: Send + Sync,
    Dashboard: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match Dashboard::from_ref(state).person(&parts.headers).await {
            Ok(Some(person)) => {
                note_known(&parts.extensions);
                Ok(person)
            }
            Ok(None) => Err(to_sign_in(parts)),
            Err(error) => Err(Refusal::from(error).into_response()),
        }
    }
}

/// A form that somebody who is signed in has sent from a page of ours.
pub struct PersonForm {
    /// Who sent it.
    pub person: Person,
    /// Where it came from.
    pub address: Option<IpAddr>,
    /// What they sent, without what proves that the page was ours.
    pub fields: Fields,
}

impl PersonForm {
    /// Who does what is done with it.
    pub fn actor(&self) -> Actor {
        Actor::account(&self.person.email, self.address)
    }
}

impl<S> FromRequest<S> for PersonForm
where
    S: Send + Sync,
    Dashboard: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let person = Person::from_request_parts(&mut parts, state).await?;
        let proxies = Dashboard::from_ref(state).trusted_proxies;
        let ClientAddress(address) = ClientAddress::of(&proxies, &parts.extensions, &parts.headers);
        match read_form(Request::from_parts(parts, body), &person.csrf).await? {
            SentForm::Ours(fields) => Ok(Self { person, address, fields }),
            SentForm::Refused(refusal) => Err(refusal.to_account().into_response()),
        }
    }
}
