//! The role as which the program connects to its private server. It owns the database and is no
//! administrator of the server: who gets it to run SQL of theirs reads no files and runs no
//! programs.

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _};

use super::connect::Credentials;
use super::options::NAME;

const SERVICE: &str = "weirgate_service";

/// Homes of earlier versions belong to the administrator as a whole: all that is in the database
/// goes over.
const TAKE_OVER: &str = include_str!("role.sql");

impl Credentials {
    pub(super) fn service_options(&self) -> PgConnectOptions {
        self.options(NAME).username(SERVICE).password(&self.service_password())
    }

    /// Derived, so that one file is all there is to keep; it does not tell the administrator's.
    fn service_password(&self) -> String {
        hex::encode(Sha256::digest(format!("{SERVICE}:{}", self.password)))
    }

    /// Makes the role if absent, and the database and all in it its own.
    pub(super) async fn ensure_service_role(&self) -> Result<()> {
        let mut connection = self.connect(NAME).await?;
        let set = AssertSqlSafe(format!("set weirgate.service_password = '{}'", self.service_password()));
        for sql in [set, AssertSqlSafe(TAKE_OVER.to_owned())] {
            sqlx::raw_sql(sql)
                .execute(&mut connection)
                .await
                .with_context(|| format!("cannot give the database {NAME} to the role {SERVICE}"))?;
        }
        connection.close().await?;
        Ok(())
    }

    /// Whether [`ensure_service_role`](Self::ensure_service_role) is done.
    pub(super) async fn service_owns_database(&self) -> Result<bool> {
        let mut connection = self.connect("postgres").await?;
        let owns = sqlx::query_scalar(
            "select exists (select from pg_database where datname = $1 and datdba = to_regrole($2)::oid)",
        )
        .bind(NAME)
        .bind(SERVICE)
        .fetch_one(&mut connection)
        .await?;
        connection.close().await?;
        Ok(owns)
    }
}
