//! The domains of this program: [`all`] is the only list of them.

mod made;
mod msp;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::bail;
use weirgate_queue::schedule::Schedules;
use weirgate_queue::{Kinds, Registry};
use weirgate_web::domain::{Catalog, Domain};
use weirgate_web::history::History;
use weirgate_web::parts::Parts;

pub(crate) use self::made::Prepared;
pub use self::made::Registration;
use crate::app::App;
use crate::config::{Config, ConfigError};
use crate::http::Api;
use crate::{operations, schema};

/// Every domain there is: the only list of them.
pub fn all() -> Vec<Registration> {
    vec![msp::registration()]
}

/// The domain that a demonstration shows.
pub(crate) const SHOWN: &str = msp::NAME;

/// Whether a domain is served whose rows come from the mock data.
pub(crate) fn reads_mock_data(config: &Config) -> bool {
    config.mock_mode && config.serves(msp::NAME)
}

/// The histories of all schemas, each after those that it builds on. Those of domains that are not
/// served are kept up to date, too: other processes on the same database may serve them.
pub fn histories() -> Vec<History> {
    Domains::new(all()).histories()
}

/// The domains that a process serves and works, after the operations, which are always there.
#[derive(Debug, Clone)]
pub struct Domains {
    /// The operations and the domains.
    list: Vec<Domain<App, Api>>,
    registrations: Vec<Registration>,
}

impl Domains {
    /// The operations and these domains.
    pub fn new(registrations: Vec<Registration>) -> Self {
        let domains = registrations.iter().map(|registration| registration.domain.clone());
        Self {
            list: std::iter::once(operations::domain().within(App::operations)).chain(domains).collect(),
            registrations,
        }
    }

    /// The operations, and the domains that the settings name.
    ///
    /// # Errors
    /// When the settings name a domain or a queue that there is not.
    pub fn of(config: &Config) -> Result<Self, ConfigError> {
        let all = all();
        let mut wrong = Vec::new();
        let names: Vec<&str> = all.iter().map(|registration| registration.domain.name).collect();
        for name in config.domains.iter().flatten().filter(|name| !names.contains(&name.as_str())) {
            wrong.push(format!(
                "WEIRGATE_DOMAINS: there is no domain {name:?}; there are: {}",
                names.join(", ")
            ));
        }
        // Those that are not served, too: processes that serve different ones may share the
        // setting.
        let queues = Self::new(all.clone()).catalog().queues().clone();
        for queue in config.concurrency.exceptions().keys().filter(|name| !queues.contains(name.as_str())) {
            wrong.push(format!(
                "WEIRGATE_CONCURRENCY: there is no queue {queue:?}; there are: {}",
                listed(&queues)
            ));
        }
        if wrong.is_empty() {
            Ok(Self::new(
                all.into_iter().filter(|registration| config.serves(registration.domain.name)).collect(),
            ))
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

    /// Each of them.
    pub fn list(&self) -> &[Domain<App, Api>] {
        &self.list
    }

    /// What their handlers need, where no job runs in the same process.
    ///
    /// # Errors
    /// When a setting is wrong.
    pub(crate) fn handlers(&self, config: &Config) -> anyhow::Result<Parts> {
        let mut all = Parts::default();
        for registration in &self.registrations {
            all = all.join(&(registration.handlers)(config)?);
        }
        Ok(all)
    }

    /// What their handlers and their jobs need.
    ///
    /// # Errors
    /// When a setting is wrong.
    pub(crate) fn prepare(&self, config: &Config) -> anyhow::Result<Prepared> {
        let mut prepared = Prepared::default();
        for registration in &self.registrations {
            prepared.add((registration.jobs)(config)?);
        }
        Ok(prepared)
    }

    /// The histories of the engine's schema, that of the tenants, and those of the domains.
    pub fn histories(&self) -> Vec<History> {
        schema::histories(self.list.iter().filter_map(|domain| domain.history))
    }

    /// What they have, for those who look on.
    pub fn catalog(&self) -> Catalog {
        Catalog::of(&self.list)
    }

    /// What they enqueue by the clock.
    pub fn schedules(&self) -> Schedules {
        self.catalog().schedules().clone()
    }

    /// Every job of them, to be run; of `queues` alone, where these are named.
    pub fn registry(&self, app: Arc<App>, queues: Option<&BTreeSet<String>>) -> Registry {
        let kinds = self.list.iter().fold(Kinds::default(), |all, domain| all.join(domain.kinds.clone()));
        let kinds = match queues {
            Some(queues) => kinds.in_queues(queues),
            None => kinds,
        };
        let slices = self.list.iter().flat_map(|domain| domain.slices.iter().cloned());
        slices.fold(kinds.run_with(app), Registry::with_slices)
    }
}

fn listed(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use weirgate_web::presentation::JobPresentation;

    use super::*;

    /// The codes that the sources under `folder` name, as literals after one of these beginnings.
    fn codes(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // Codes that tests make up are seen by nobody.
                if !path.ends_with("tests") {
                    codes(&path, found);
                }
            } else if path.extension().is_some_and(|it| it == "rs" || it == "sql") {
                let text = std::fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]").next().unwrap();
                let is_code = |line: &&str| !line.trim_start().starts_with("//");
                let text = text.lines().filter(is_code).collect::<Vec<_>>().join("\n");
                for (start, end) in [
                    ("JobError::discard(", '"'),
                    ("JobError::failed(", '"'),
                    ("Err(JobError::Discard { code: ", '"'),
                    ("code: ", '"'),
                    ("'code', ", '\''),
                ] {
                    let literals = text.split(start).skip(1).filter_map(|rest| {
                        rest.trim_start().strip_prefix(end).and_then(|rest| rest.split_once(end))
                    });
                    found.extend(literals.map(|(code, _)| code.to_owned()));
                }
            }
        }
    }

    #[test]
    fn every_code_that_the_program_fails_with_has_a_text() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = BTreeSet::new();
        for folder in ["queue/src", "identity/src", "jobs", "src/operations"] {
            codes(&root.join(folder), &mut found);
        }
        assert!(found.contains("worker_lost") && found.contains("source_refused"), "{found:?}");
        let domains = Domains::new(all());
        let presentation = domains.catalog().presentation();
        let without: Vec<_> = found.iter().filter(|code| !presentation.has_text(code)).collect();
        assert!(without.is_empty(), "no text for {without:?}");
        let of_the_engine = JobPresentation::default();
        let mut codes = BTreeSet::new();
        for (code, _) in domains.list.iter().flat_map(|domain| &domain.error_texts) {
            assert!(!of_the_engine.has_text(code), "a domain repeats {code}, which the engine fails with");
            assert!(codes.insert(code), "{code} has two texts");
        }
    }
}
