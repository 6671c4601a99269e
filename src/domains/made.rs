//! Builds from the settings what the handlers and jobs of each domain need.

use std::fmt;
use std::sync::Arc;

use sqlx::PgPool;
use weirgate_identity::SecretKeys;
use weirgate_web::domain::Domain;
use weirgate_web::parts::Parts;

use crate::app::App;
use crate::config::Config;
use crate::http::Api;

/// Puts the application of a domain into that of all, once there is a database.
pub(super) type Install = Box<dyn FnOnce(App) -> App + Send>;

/// A domain of this program, and how what it needs is made of the settings.
#[derive(Clone)]
pub struct Registration {
    pub(super) domain: Domain<App, Api>,
    pub(super) handlers: fn(&Config) -> anyhow::Result<Parts>,
    pub(super) jobs: fn(&Config) -> anyhow::Result<(Parts, Install)>,
}

impl From<Domain<App, Api>> for Registration {
    /// A domain that needs nothing of its own.
    fn from(domain: Domain<App, Api>) -> Self {
        Self {
            domain,
            handlers: |_| Ok(Parts::default()),
            jobs: |_| Ok((Parts::default(), Box::new(|app| app))),
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registration").field(&self.domain).finish()
    }
}

/// What the settings alone decide; made first, so that a wrong one stops the start before a
/// database does.
#[derive(Default)]
pub(crate) struct Prepared {
    handlers: Parts,
    install: Vec<Install>,
}

impl Prepared {
    pub(super) fn add(&mut self, (handlers, install): (Parts, Install)) {
        self.handlers = std::mem::take(&mut self.handlers).join(&handlers);
        self.install.push(install);
    }

    /// What handlers need in the same process.
    pub(crate) fn handlers(&self) -> Parts {
        self.handlers.clone()
    }

    /// The application on a database, whose secrets are sealed with these keys.
    pub(crate) fn with(self, pool: PgPool, secret_keys: Option<SecretKeys>) -> Arc<App> {
        let app = App::new(pool, secret_keys);
        Arc::new(self.install.into_iter().fold(app, |app, install| install(app)))
    }
}
