//! The domains of this program: [`all`] is the only list of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::bail;
use weirgate_queue::schedule::Schedules;
use weirgate_queue::{Kinds, Registry};

use crate::app::App;
use crate::config::{Config, ConfigError};
use crate::domain::{Catalog, Domain};
use crate::operations;

pub(crate) mod msp;

/// Every domain there is: the only list of them.
pub fn all() -> Vec<Domain<App>> {
    vec![msp::domain().within(App::msp)]
}

/// The domains that a process serves and works, after the operations, which are always there.
#[derive(Debug, Clone)]
pub struct Domains(Vec<Domain<App>>);

impl Domains {
    /// The operations and these domains.
    pub fn new(domains: Vec<Domain<App>>) -> Self {
        Self(std::iter::once(operations::domain().within(App::pool)).chain(domains).collect())
    }

    /// The operations, and the domains that the settings name.
    ///
    /// # Errors
    /// When the settings name a domain or a queue that there is not.
    pub fn of(config: &Config) -> Result<Self, ConfigError> {
        let all = all();
        let mut wrong = Vec::new();
        let names: Vec<&str> = all.iter().map(|domain| domain.name).collect();
        for name in config.domains.iter().flatten().filter(|name| !names.contains(&name.as_str())) {
            wrong.push(format!(
                "WEIRGATE_DOMAINS: there is no domain {name:?}; there are: {}",
                names.join(", ")
            ));
        }
        // Those that are not served, too: processes that serve different ones may share the setting.
        let queues = Self::new(all.clone()).catalog().queues().clone();
        for queue in config.concurrency.exceptions().keys().filter(|name| !queues.contains(name.as_str())) {
            wrong.push(format!(
                "WEIRGATE_CONCURRENCY: there is no queue {queue:?}; there are: {}",
                listed(&queues)
            ));
        }
        if wrong.is_empty() {
            Ok(Self::new(all.into_iter().filter(|domain| config.serves(domain.name)).collect()))
        } else {
            Err(ConfigError::new(wrong))
        }
    }

    /// The queues of these names.
    ///
    /// # Errors
    /// When no kind waits in one of them; with those in which some do.
    pub fn queues(&self, names: &[String]) -> anyhow::Result<BTreeSet<String>> {
        let catalog = self.catalog();
        match names.iter().find(|name| !catalog.queues().contains(name.as_str())) {
            Some(name) => {
                bail!("--queues: there is no queue {name:?}; there are: {}", listed(catalog.queues()))
            }
            None => Ok(names.iter().cloned().collect()),
        }
    }

    /// What they have, for those who look on.
    pub fn catalog(&self) -> Catalog {
        Catalog::of(&self.0)
    }

    /// What they enqueue by the clock.
    pub fn schedules(&self) -> Schedules {
        self.catalog().schedules().clone()
    }

    /// Every job of them, to be run; of `queues` alone, where these are named.
    pub fn registry(&self, app: Arc<App>, queues: Option<&BTreeSet<String>>) -> Registry<App> {
        let kinds = self.0.iter().fold(Kinds::default(), |all, domain| all.join(domain.kinds.clone()));
        let kinds = match queues {
            Some(queues) => kinds.in_queues(queues),
            None => kinds,
        };
        let slices = self.0.iter().flat_map(|domain| domain.slices.iter().cloned());
        slices.fold(kinds.run_with(app), Registry::with_slices)
    }
}

fn listed(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}
