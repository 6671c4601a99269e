//! What a command runs with.

use weirgate_web::domain::Catalog;

use super::confirm;
use super::door::{Door, Local};
use super::remote::Server;
use crate::config::Config;
use crate::database::{Database, Use};
use crate::domains::{self, Domains};
use crate::home;
use crate::signals::Stop;

/// The settings of a command, and the signals that stop it.
pub(super) struct Session {
    pub(super) config: Config,
    pub(super) domains: Domains,
    /// What these have.
    pub(super) catalog: Catalog,
    /// The one elsewhere that is asked in place of the database.
    pub(super) server: Option<Server>,
    pub(super) stop: Stop,
}

impl Session {
    /// Does `work` through the door that was chosen, until the first signal.
    pub(super) async fn with_door<T>(
        &self,
        command: &str,
        work: impl AsyncFnOnce(Door<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        if let Some(server) = &self.server {
            return self.stop.until_told(Box::pin(work(Door::Server(&server.client)))).await;
        }
        let work = async |database: &Database| {
            work(Door::Database(Local { database, catalog: &self.catalog })).await
        };
        self.with_database(command, work).await
    }

    /// What has to be added to a command that is suggested, so that it finds the same.
    pub(super) fn suffix(&self) -> String {
        self.server.as_ref().map(Server::suffix).unwrap_or_default()
    }

    /// Does `work` on the database with its whole schema, until the first signal. A private
    /// Postgres that this started is stopped with it, however it ends, unless another command uses
    /// it by then.
    pub(super) async fn with_database<T>(
        &self,
        command: &str,
        work: impl AsyncFnOnce(&Database) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let work = async |database: &Database| {
            database.require_migrated(&domains::histories()).await?;
            work(database).await
        };
        self.with_any_database(command, work).await
    }

    /// The same on a database that may lack the schema.
    pub(super) async fn with_any_database<T>(
        &self,
        command: &str,
        work: impl AsyncFnOnce(&Database) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        confirm::home(&self.config, &self.stop).await?;
        // A script's first step where no `up` is meant to run.
        if command != "migrate" {
            home::require(&self.config)?;
        }
        let database = Database::start(&self.config, command, Use::Shared, &self.stop).await?;
        let ended = self.stop.until_told(Box::pin(database.hold(work(&database)))).await;
        let closed = database.close().await;
        let value = ended?;
        closed?;
        Ok(value)
    }
}
