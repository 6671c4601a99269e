//! What all pages share.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderMap;
use weirgate_identity::platform::User;
use weirgate_identity::sessions::hash;

use super::navigation::Navigation;
use super::person::Person;
use super::session::{self, Session};
use super::session_find::Sessions;
use super::shared::Shared;
use super::views::Views;
use crate::client_address::TrustedProxies;
use crate::problem::Problem;
use crate::state::Web;

/// The state of the dashboard, a part of that of a service. Cheap to clone.
#[derive(Clone)]
pub struct Dashboard {
    /// The links above each page.
    pub navigation: Navigation,
    /// Who is signed in.
    pub sessions: Arc<Sessions>,
    /// Pages that are looked at and change.
    pub views: Views,
    /// Parts of pages that are the same for everybody.
    pub shared: Shared,
    /// Whose word on where a request came from is taken.
    pub trusted_proxies: TrustedProxies,
}

impl Dashboard {
    /// A dashboard with these links.
    pub fn new(web: &Web, navigation: Navigation) -> Self {
        Self {
            navigation,
            sessions: Arc::new(Sessions::new(web.pool.clone(), web.permits.clone())),
            views: Views::new(web.closing.clone()),
            shared: Shared::default(),
            trusted_proxies: web.trusted_proxies.clone(),
        }
    }

    /// Who has sent a request, as its cookie says; `None` where it says nothing, or nothing that is
    /// still true.
    pub async fn person(&self, headers: &HeaderMap) -> Result<Option<Person>, Problem> {
        let Some(token) = session::token(headers) else { return Ok(None) };
        Ok(self.sessions.find(hash(token)).await?.map(Person::from))
    }

    /// The same for those alone for whom the dashboard is.
    pub async fn session(&self, headers: &HeaderMap) -> Result<Option<Session>, Problem> {
        Ok(self.person(headers).await?.and_then(|person| self.session_of(person, None)))
    }

    /// Somebody on the dashboard, if they have a role there.
    pub fn session_of(&self, person: Person, address: Option<IpAddr>) -> Option<Session> {
        let Person { account: id, email, role, csrf, .. } = person;
        let (user, navigation) = (User { id, email, role: role? }, self.navigation.clone());
        Some(Session { user, csrf, address, navigation })
    }
}

impl fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dashboard").field("navigation", &self.navigation).finish_non_exhaustive()
    }
}
