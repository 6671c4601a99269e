//! The application: what the operations and the domains share with their jobs.

use std::any::Any;
use std::sync::Arc;

use sqlx::PgPool;
use weirgate_web::parts::Parts;

/// What jobs need to run.
#[derive(Debug, Clone)]
pub struct App {
    /// The database, which is all that the operations need.
    pool: Arc<PgPool>,
    /// The applications of the domains.
    parts: Parts,
}

impl App {
    /// Without any domain.
    pub fn new(pool: PgPool) -> Self {
        Self { pool: Arc::new(pool), parts: Parts::default() }
    }

    /// With the application of one more domain.
    #[must_use]
    pub fn with<T: Any + Send + Sync>(self, app: Arc<T>) -> Self {
        Self { parts: self.parts.with(app), ..self }
    }

    /// The part of the operations.
    pub fn pool(&self) -> &Arc<PgPool> {
        &self.pool
    }

    /// The application of a domain.
    ///
    /// # Panics
    /// Where the domain is not served: then there is no job of it that could ask.
    pub fn part<T: Any + Send + Sync>(&self) -> &Arc<T> {
        self.parts.get::<Arc<T>>().expect("made where the domain is served")
    }
}
