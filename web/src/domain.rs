//! What Weirgate does, in parts of which each can be left out: a domain says what it runs, by the
//! clock and in backfills, what people may ask it for, and what it answers over HTTP. The engine
//! and the operations know no domain by name.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use axum::Router;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use weirgate_identity::Tenant;
use weirgate_queue::backfill::Slices;
use weirgate_queue::schedule::Schedules;
use weirgate_queue::{Job, Kinds, NewJob, Result};

use crate::backfill::BackfillKind;
use crate::dashboard::navigation::DomainEntry;
use crate::history::History;
use crate::plan::Plan;
use crate::presentation::{JobPresentation, OutputLink};

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
    /// The migrations of its schema, which builds on those of the engine and the tenants.
    pub history: Option<History>,
    /// Links to its pages.
    pub navigation: Vec<DomainEntry>,
    /// What it answers over HTTP.
    pub routes: DomainRoutes<S>,
}

/// The routes of a domain over the state `S` of a service, by who may call them.
pub struct DomainRoutes<S> {
    /// Those below `/internal`, for callers with the service's token.
    pub internal: fn() -> OpenApiRouter<S>,
    /// Those below `/v1`, for tenants with their API keys.
    pub v1: fn() -> OpenApiRouter<S>,
    /// Its pages below `/dashboard`, for people who are signed in.
    pub pages: fn() -> Router<S>,
}

impl<S: Clone + Send + Sync + 'static> Default for DomainRoutes<S> {
    fn default() -> Self {
        Self { internal: OpenApiRouter::new, v1: OpenApiRouter::new, pages: Router::new }
    }
}

impl<S> Clone for DomainRoutes<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for DomainRoutes<S> {}

/// Something that is enqueued by its name: a kind of job, or a workflow.
#[derive(Clone, Copy)]
pub struct Enqueueable {
    /// Its name.
    pub name: &'static str,
    /// The endpoint that enqueues it.
    pub path: &'static [&'static str],
    /// Whether it is for a day, which is then its argument `date`.
    pub day: bool,
    /// Its further arguments.
    pub arguments: &'static [&'static str],
    /// What it becomes for a tenant, with these arguments.
    pub plan: fn(&Tenant, Value) -> Result<Plan>,
}

impl fmt::Debug for Enqueueable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Enqueueable").field(&self.name).finish()
    }
}

impl Enqueueable {
    /// One job of this kind, for no day and without arguments but the tenant.
    pub fn of<J: Job>(path: &'static [&'static str]) -> Self {
        Self { name: J::KIND, path, day: false, arguments: &[], plan: one::<J> }
    }

    /// It is for a day.
    #[must_use]
    pub fn daily(self) -> Self {
        Self { day: true, ..self }
    }

    /// It has these further arguments.
    #[must_use]
    pub fn taking(self, arguments: &'static [&'static str]) -> Self {
        Self { arguments, ..self }
    }
}

fn one<J: Job>(tenant: &Tenant, args: Value) -> Result<Plan> {
    Ok(Plan::Job(NewJob::of(tenant.id, &serde_json::from_value::<J>(args)?)?))
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
            history: None,
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
            history: self.history,
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
            history: self.history,
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
    navigation: Vec<DomainEntry>,
}

impl Catalog {
    /// What these domains have.
    ///
    /// # Panics
    /// When two schedules have the same name.
    pub fn of<A: Send + Sync + 'static, S>(domains: &[Domain<A, S>]) -> Self {
        let schedules = domains.iter().map(|domain| domain.schedules.clone());
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
            navigation: domains.iter().flat_map(|domain| domain.navigation.iter().copied()).collect(),
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

    /// Links to the pages.
    pub fn navigation(&self) -> &[DomainEntry] {
        &self.navigation
    }

    /// How the jobs are shown.
    pub fn presentation(&self) -> JobPresentation {
        let presentation = JobPresentation::default().with_texts(&self.error_texts);
        self.links.iter().fold(presentation, |presentation, link| presentation.with_link(*link))
    }
}
