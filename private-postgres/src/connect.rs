//! Connecting to the private server.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::options::NAME;

/// How long connecting may take: the server is on this machine.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What it takes to connect as the owner of the cluster.
#[derive(Clone)]
pub(super) struct Credentials {
    pub password: String,
    pub port: u16,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("port", &self.port).finish_non_exhaustive()
    }
}

/// What a server says of itself.
#[derive(Debug)]
pub(super) struct Facts {
    pub data: PathBuf,
    pub fsync: bool,
}

impl Credentials {
    pub(super) fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username(NAME)
            .password(&self.password)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
    }

    pub(super) async fn connect(&self, database: &str) -> Result<PgConnection> {
        let options = self.options(database);
        tokio::time::timeout(TIMEOUT, PgConnection::connect_with(&options))
            .await
            .with_context(|| format!("no answer in {} seconds", TIMEOUT.as_secs()))
            .and_then(|connected| Ok(connected?))
            .with_context(|| format!("cannot connect to the private Postgres on 127.0.0.1:{}", self.port))
    }

    /// Asks the server which one it is.
    pub(super) async fn facts(&self) -> Result<Facts> {
        let mut connection = self.connect("postgres").await?;
        let (data, fsync): (String, String) =
            sqlx::query_as("SELECT current_setting('data_directory'), current_setting('fsync')")
                .fetch_one(&mut connection)
                .await?;
        connection.close().await?;
        Ok(Facts { data: PathBuf::from(data), fsync: fsync == "on" })
    }

    /// Makes a database if absent. The name must be a plain identifier. One that appears meanwhile
    /// is as good: a start that was killed may have left a server that is still making it.
    pub(super) async fn ensure_database(&self, name: &'static str) -> Result<()> {
        let mut connection = self.connect("postgres").await?;
        if !has_database(&mut connection, name).await? {
            let made = sqlx::query(AssertSqlSafe(format!("CREATE DATABASE \"{name}\"")))
                .execute(&mut connection)
                .await;
            if made.is_err() && !has_database(&mut connection, name).await? {
                made.with_context(|| format!("cannot make the database {name}"))?;
            }
        }
        connection.close().await?;
        Ok(())
    }
}

async fn has_database(connection: &mut PgConnection, name: &str) -> Result<bool> {
    let found = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(name)
        .fetch_one(connection)
        .await?;
    Ok(found)
}
