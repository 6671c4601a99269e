//! Databases that were migrated once, to be copied.

use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::{Mutex, OnceCell};

use crate::cluster;

/// The engine's own tables, and nothing else.
pub static ENGINE: Template = Template::new("template_engine", || vec![&weirgate_queue::MIGRATOR]);

/// The tables of the engine and of identity.
pub static IDENTITY: Template =
    Template::new("template_identity", || vec![&weirgate_queue::MIGRATOR, &weirgate_identity::MIGRATOR]);

/// Roles belong to the whole server: of two templates that are migrated at once, one could fail.
static MIGRATING: Mutex<()> = Mutex::const_new(());

/// A database with the tables of some migrations and a clock that tests move. It is made when the
/// first test asks for a copy.
#[derive(Debug)]
pub struct Template {
    name: &'static str,
    migrators: fn() -> Vec<&'static Migrator>,
    made: OnceCell<()>,
}

impl Template {
    /// The database of that name in the server of these tests, with these migrations, in this
    /// order.
    pub const fn new(name: &'static str, migrators: fn() -> Vec<&'static Migrator>) -> Self {
        Self { name, migrators, made: OnceCell::const_new() }
    }

    /// Makes a database of this name as a copy.
    pub(crate) async fn copy(&self, name: &str) {
        self.made.get_or_init(|| self.make()).await;
        let template = self.name;
        execute("postgres", format!("create database {name} template {template}")).await;
    }

    async fn make(&self) {
        let _alone = MIGRATING.lock().await;
        execute("postgres", format!("create database {}", self.name)).await;
        let mut conn = PgConnection::connect_with(&cluster::options(self.name)).await.unwrap();
        for migrator in (self.migrators)() {
            migrator.run_direct(None, &mut conn, false).await.unwrap();
        }
        sqlx::raw_sql(
            "create table test_clock (shift interval not null);
             insert into test_clock values ('0');
             grant select on test_clock to public;
             create or replace function queue.now() returns timestamptz language sql stable
             as $$ select now() + (select shift from public.test_clock) $$",
        )
        .execute(&mut conn)
        .await
        .unwrap();
        // A database that somebody is connected to cannot be copied.
        conn.close().await.unwrap();
    }
}

async fn execute(database: &str, sql: String) {
    let mut conn = PgConnection::connect_with(&cluster::options(database)).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}
