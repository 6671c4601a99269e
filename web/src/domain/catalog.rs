//! What all domains of a process have.

use std::collections::BTreeSet;
use std::sync::Arc;

use weirgate_identity::roles::{AppRoles, Roles};
use weirgate_identity::scopes::Scope;
use weirgate_queue::schedule::Schedules;

use super::counter::DomainCounter;
use super::definition::Domain;
use super::enqueueable::Enqueueable;
use crate::backfill::BackfillKind;
use crate::dashboard::additions::Additions;
use crate::dashboard::navigation::DomainEntry;
use crate::presentation::{JobPresentation, OutputLink};

/// What the domains of a process have, for those who look on: requests, pages, commands.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    domains: Vec<&'static str>,
    kinds: BTreeSet<&'static str>,
    queues: BTreeSet<&'static str>,
    schedules: Schedules,
    enqueueables: Vec<Enqueueable>,
    backfills: Vec<BackfillKind>,
    not_backfilled: Vec<(&'static str, &'static str)>,
    renamed: Vec<(&'static str, &'static str)>,
    links: Vec<OutputLink>,
    error_texts: Vec<(&'static str, &'static str)>,
    roles: Vec<&'static AppRoles>,
    scopes: Vec<Scope>,
    navigation: Vec<DomainEntry>,
    counters: Vec<DomainCounter>,
    additions: Vec<Arc<dyn Additions>>,
}

impl Catalog {
    /// What these domains have.
    ///
    /// # Panics
    /// When two schedules, or two scopes, have the same name.
    pub fn of<A: Send + Sync + 'static, S>(domains: &[Domain<A, S>]) -> Self {
        let schedules = domains.iter().map(|domain| domain.schedules.clone());
        let scopes: Vec<Scope> = domains.iter().flat_map(|domain| domain.scopes.iter().copied()).collect();
        let mut names = BTreeSet::new();
        for Scope { name, .. } in &scopes {
            assert!(names.insert(name), "two scopes are called {name}");
        }
        Self {
            domains: domains.iter().map(|domain| domain.name).collect(),
            kinds: domains.iter().flat_map(|domain| domain.kinds.names()).collect(),
            queues: domains.iter().flat_map(|domain| domain.kinds.queues()).collect(),
            schedules: schedules.fold(Schedules::default(), Schedules::merge),
            enqueueables: domains.iter().flat_map(|domain| domain.enqueueables.iter().copied()).collect(),
            backfills: domains.iter().flat_map(|domain| domain.backfills.iter().copied()).collect(),
            not_backfilled: domains.iter().flat_map(|domain| domain.not_backfilled.iter().copied()).collect(),
            renamed: domains.iter().flat_map(|domain| domain.renamed.iter().copied()).collect(),
            links: domains.iter().flat_map(|domain| domain.links.iter().copied()).collect(),
            error_texts: domains.iter().flat_map(|domain| domain.error_texts.iter().copied()).collect(),
            roles: domains.iter().flat_map(|domain| domain.roles.iter().copied()).collect(),
            scopes,
            navigation: domains.iter().flat_map(|domain| domain.navigation.iter().copied()).collect(),
            counters: domains.iter().flat_map(|domain| domain.counters.iter().copied()).collect(),
            additions: domains.iter().filter_map(|domain| domain.additions.clone()).collect(),
        }
    }

    /// Whether the domain of that name is among them.
    pub fn has(&self, domain: &str) -> bool {
        self.domains.contains(&domain)
    }

    /// The kinds of jobs.
    pub fn kinds(&self) -> &BTreeSet<&'static str> {
        &self.kinds
    }

    /// The queues that they wait in.
    pub fn queues(&self) -> &BTreeSet<&'static str> {
        &self.queues
    }

    /// What is enqueued by the clock.
    pub fn schedules(&self) -> &Schedules {
        &self.schedules
    }

    /// What people may enqueue by name.
    pub fn enqueueables(&self) -> &[Enqueueable] {
        &self.enqueueables
    }

    /// The same of one name, or of a name that it had before.
    pub fn enqueueable(&self, name: &str) -> Option<&Enqueueable> {
        let name = self.name_of(name);
        self.enqueueables.iter().find(|it| it.name == name)
    }

    /// What people may have done for days of tenants.
    pub fn backfills(&self) -> &[BackfillKind] {
        &self.backfills
    }

    /// The kind of backfill of that name.
    ///
    /// # Errors
    /// When there is none: with those that there are, or why there is none of that kind of job.
    pub fn backfill(&self, name: &str) -> Result<BackfillKind, String> {
        if let Some((_, why)) = self.not_backfilled.iter().find(|(kind, _)| *kind == name) {
            return Err(format!("{name} {why}"));
        }
        let found = self.backfills.iter().find(|kind| [kind.name, kind.stored].contains(&name));
        found.copied().ok_or_else(|| match self.backfills.as_slice() {
            [] => "there are no backfills".to_owned(),
            [one] => format!("expected {one}"),
            [first @ .., last] => {
                let first: Vec<&str> = first.iter().map(|kind| kind.name).collect();
                format!("expected {} or {last}", first.join(", "))
            }
        })
    }

    /// What a workflow or a backfill is called today that may be named by an older name.
    pub fn name_of<'a>(&self, name: &'a str) -> &'a str {
        self.renamed.iter().find(|(old, _)| *old == name).map_or(name, |(_, new)| new)
    }

    /// What credentials of tenants may be used for.
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// What they count, for monitoring.
    pub fn counters(&self) -> &[DomainCounter] {
        &self.counters
    }

    /// What the domains add to pages of the service.
    pub fn additions(&self) -> &[Arc<dyn Additions>] {
        &self.additions
    }

    /// Links to the pages.
    pub fn navigation(&self) -> &[DomainEntry] {
        &self.navigation
    }

    /// The roles of people, those of the dashboard first.
    pub fn roles(&self) -> Roles {
        Roles::new(self.roles.iter().copied())
    }

    /// How the jobs are shown.
    pub fn presentation(&self) -> JobPresentation {
        let presentation = JobPresentation::default().with_texts(&self.error_texts);
        self.links.iter().fold(presentation, |presentation, link| presentation.with_link(*link))
    }
}
