//! The two ways in which commands reach the jobs: the database, and the API of a server elsewhere.
//! What they show is the same.

use std::ops::Deref;

use anyhow::Result;
use chrono::{DateTime, Utc};
use weirgate_web::domain::Catalog;

use crate::client::Client;
use crate::database::Database;

/// Where a command finds what it is about.
#[derive(Clone, Copy)]
pub(super) enum Door<'a> {
    Database(Local<'a>),
    Server(&'a Client),
}

/// The database, and what this program knows of the jobs in it.
#[derive(Clone, Copy)]
pub(super) struct Local<'a> {
    pub(super) database: &'a Database,
    pub(super) catalog: &'a Catalog,
}

impl Deref for Local<'_> {
    type Target = Database;

    fn deref(&self) -> &Database {
        self.database
    }
}

impl Door<'_> {
    /// The time there, which decides; none where it is not told.
    pub(super) async fn now(self) -> Result<Option<DateTime<Utc>>> {
        match self {
            Self::Database(database) => {
                let now = sqlx::query_scalar!(r#"select queue.now() as "now!""#);
                Ok(Some(now.fetch_one(&database.pool).await?))
            }
            Self::Server(client) => client.now().await,
        }
    }
}
