//! One domain, with all that it brings.

use std::fmt;
use std::sync::Arc;

use weirgate_identity::roles::AppRoles;
use weirgate_identity::scopes::Scope;
use weirgate_queue::Kinds;
use weirgate_queue::backfill::Slices;
use weirgate_queue::schedule::Schedules;

use super::counter::DomainCounter;
use super::enqueueable::Enqueueable;
use super::routes::DomainRoutes;
use crate::backfill::BackfillKind;
use crate::dashboard::additions::Additions;
use crate::dashboard::navigation::DomainEntry;
use crate::history::History;
use crate::presentation::OutputLink;

/// One domain, whose jobs share an application `A`, and whose routes the state `S` of a service.
pub struct Domain<A, S> {
    /// Its name in the settings.
    pub name: &'static str,
    /// What it runs.
    pub kinds: Kinds<A>,
    /// What it enqueues by the clock.
    pub schedules: Schedules,
    /// What the slices of its backfills become.
    pub slices: Vec<Arc<dyn Slices>>,
    /// What people may enqueue by name, for a tenant.
    pub enqueueables: Vec<Enqueueable>,
    /// What people may have done for days of tenants.
    pub backfills: Vec<BackfillKind>,
    /// Kinds of jobs that there is no backfill of, each with why, as the end of a sentence.
    pub not_backfilled: Vec<(&'static str, &'static str)>,
    /// Older names of its workflows and backfills, each with the name of today.
    pub renamed: Vec<(&'static str, &'static str)>,
    /// Where that is which its jobs have made.
    pub links: Vec<OutputLink>,
    /// What tenants are told of a job that failed with one of its codes.
    pub error_texts: Vec<(&'static str, &'static str)>,
    /// The roles of its people, and the scopes of these.
    pub roles: Vec<&'static AppRoles>,
    /// What credentials of tenants may be used for that it brings: the scopes of its routes below
    /// `/v1`.
    pub scopes: Vec<Scope>,
    /// The migrations of its schema, which builds on those of the engine and the tenants.
    pub history: Option<History>,
    /// What it counts, for monitoring.
    pub counters: Vec<DomainCounter>,
    /// What it adds to pages of the service.
    pub additions: Option<Arc<dyn Additions>>,
    /// Links to its pages.
    pub navigation: Vec<DomainEntry>,
    /// What it answers over HTTP.
    pub routes: DomainRoutes<S>,
}

impl<A: Send + Sync + 'static, S: Clone + Send + Sync + 'static> Domain<A, S> {
    /// A domain of that name, which does nothing yet.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            kinds: Kinds::default(),
            schedules: Schedules::default(),
            slices: Vec::new(),
            enqueueables: Vec::new(),
            backfills: Vec::new(),
            not_backfilled: Vec::new(),
            renamed: Vec::new(),
            links: Vec::new(),
            error_texts: Vec::new(),
            roles: Vec::new(),
            scopes: Vec::new(),
            history: None,
            counters: Vec::new(),
            additions: None,
            navigation: Vec::new(),
            routes: DomainRoutes::default(),
        }
    }

    /// The same as a part of something larger, out of whose application `app` picks its own.
    #[must_use]
    pub fn within<B: Send + Sync + 'static>(
        self,
        app: impl Fn(&B) -> &Arc<A> + Clone + Send + Sync + 'static,
    ) -> Domain<B, S> {
        Domain {
            name: self.name,
            kinds: Kinds::default().merge(self.kinds, app),
            schedules: self.schedules,
            slices: self.slices,
            enqueueables: self.enqueueables,
            backfills: self.backfills,
            not_backfilled: self.not_backfilled,
            renamed: self.renamed,
            links: self.links,
            error_texts: self.error_texts,
            roles: self.roles,
            scopes: self.scopes,
            history: self.history,
            counters: self.counters,
            additions: self.additions,
            navigation: self.navigation,
            routes: self.routes,
        }
    }
}

impl<A, S> Clone for Domain<A, S> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            kinds: self.kinds.clone(),
            schedules: self.schedules.clone(),
            slices: self.slices.clone(),
            enqueueables: self.enqueueables.clone(),
            backfills: self.backfills.clone(),
            not_backfilled: self.not_backfilled.clone(),
            renamed: self.renamed.clone(),
            links: self.links.clone(),
            error_texts: self.error_texts.clone(),
            roles: self.roles.clone(),
            scopes: self.scopes.clone(),
            history: self.history,
            counters: self.counters.clone(),
            additions: self.additions.clone(),
            navigation: self.navigation.clone(),
            routes: self.routes,
        }
    }
}

impl<A, S> fmt::Debug for Domain<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Domain").field("name", &self.name).field("kinds", &self.kinds).finish_non_exhaustive()
    }
}
