//! The application: what the operations and the domains share with their jobs.

use std::any::Any;
use std::sync::Arc;

use sqlx::PgPool;
use weirgate_identity::SecretKeys;
use weirgate_web::parts::Parts;

use crate::operations::Operations;

/// What jobs need to run.
#[derive(Debug, Clone)]
pub struct App {
    operations: Arc<Operations>,
    /// The database alone, for domains that need nothing else.
    pool: Arc<PgPool>,
    /// The applications of the domains.
    parts: Parts,
}

impl App {
    /// Without any domain, on a database whose secrets are sealed with these keys, if anybody has
    /// set them.
    pub fn new(pool: PgPool, secret_keys: Option<SecretKeys>) -> Self {
        Self {
            pool: Arc::new(pool.clone()),
            operations: Arc::new(Operations { pool, secret_keys }),
            parts: Parts::default(),
        }
    }

    /// With the application of one more domain.
    #[must_use]
    pub fn with<T: Any + Send + Sync>(self, app: Arc<T>) -> Self {
        Self { parts: self.parts.with(app), ..self }
    }

    /// The database.
    pub fn pool(&self) -> &Arc<PgPool> {
        &self.pool
    }

    /// The part of the operations.
    pub fn operations(&self) -> &Arc<Operations> {
        &self.operations
    }

    /// The application of a domain.
    ///
    /// # Panics
    /// Where the domain is not served: then there is no job of it that could ask.
    pub fn part<T: Any + Send + Sync>(&self) -> &Arc<T> {
        self.parts.get::<Arc<T>>().expect("made where the domain is served")
    }
}
