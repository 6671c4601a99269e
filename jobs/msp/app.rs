//! What the handlers share.

use std::fmt;
use std::sync::Arc;

use object_store::ObjectStore;
use sqlx::PgPool;

use crate::sources::Source;

/// The application, as the jobs see it.
pub struct App {
    /// The database.
    pub pool: PgPool,
    /// Where tickets, time entries, surveys and alerts come from.
    pub source: Arc<dyn Source>,
    /// Where exports go.
    pub exports: Arc<dyn ObjectStore>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("source", &self.source.describe())
            .field("exports", &self.exports)
            .finish_non_exhaustive()
    }
}
