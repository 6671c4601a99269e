//! What all pages share.

use std::fmt;
use std::sync::Arc;

use super::navigation::Navigation;
use super::session_find::Sessions;
use super::shared::Shared;
use super::views::Views;
use crate::client_address::TrustedProxies;
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
}

impl fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dashboard").field("navigation", &self.navigation).finish_non_exhaustive()
    }
}
