//! Databases of the old history: one list of migrations for everything, in the schemas `public` and
//! `queue`.
//!
//! Nothing that is known of the old schema is trusted. In one transaction, the baselines are made
//! and described, and rolled back; the old schema is renamed; and what came out is described and
//! compared.

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};
use sqlx::migrate::{Migrate, Migration};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use weirgate_identity::audit::Actor;
use weirgate_queue::control::history;
use weirgate_web::history::History;

use super::history::lock;

/// The last version of the old history, and how many migrations lead to it.
const OLD_HEAD: (i64, i64) = (36, 34);

/// How many differences a refusal names.
const SHOWN: usize = 10;

/// The schemas that the tables of the old history move to, each with the version that they are then
/// at. What came later is applied to them as to any other database.
const ADOPTED: [(&str, i64); 3] = [("queue", 11), ("identity", 5), ("msp", 3)];

/// What schemas are made of.
struct Catalog {
    lines: Vec<String>,
    /// Statements that give functions and comments this form.
    definitions: Vec<String>,
}

/// Whether a database is of the old history, which later versions do not go on with.
async fn is_of_old_history(conn: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select to_regclass('public._sqlx_migrations') is not null and to_regclass('public.tenants') is not null
               and to_regclass('queue._sqlx_migrations') is null as "is_old!""#
    )
    .fetch_one(conn)
    .await
}

/// Refuses a database of the old history.
///
/// # Errors
/// Says what to run.
pub(crate) async fn refuse_old_history(conn: &mut PgConnection) -> anyhow::Result<()> {
    if is_of_old_history(conn).await? {
        bail!(
            "this database was made by a version before 0.1.0: stop all processes of Weirgate, back it up, and run \
             `weirgate migrate adopt`, which moves its tables to the schemas of this version and keeps all data"
        );
    }
    Ok(())
}

/// Takes a database of the old history over, if its schema is the expected one; else it changes
/// nothing.
///
/// # Errors
/// Says why the database is not taken over.
pub(crate) async fn adopt(pool: &PgPool, histories: &[History]) -> anyhow::Result<()> {
    // Later schemas are made by `migrate up`.
    let histories: Vec<History> =
        histories.iter().copied().filter(|it| adopted(it.schema).is_some()).collect();
    let mut conn = lock(pool).await?;
    let mut tx = conn.begin().await?;
    sqlx::raw_sql("set local client_min_messages = warning").execute(&mut *tx).await?;
    require_old_head(&mut tx).await?;
    require_no_worker(&mut tx).await?;
    let expected = baseline(&mut tx, &histories).await?;
    sqlx::raw_sql(include_str!("adopt.sql")).execute(&mut *tx).await.context(NOT_EXPECTED)?;
    for definition in expected.definitions {
        sqlx::raw_sql(AssertSqlSafe(definition)).execute(&mut *tx).await.context(NOT_EXPECTED)?;
    }
    sqlx::raw_sql(ADD_HOOK).execute(&mut *tx).await.context(NOT_EXPECTED)?;
    compare(&expected.lines, &describe(&mut tx, &histories).await?.lines)?;
    for history in &histories {
        let table = history.migrator.table_name.as_ref();
        tx.ensure_migrations_table(table).await?;
        for migration in baseline_of(history) {
            tx.skip(table, migration).await?;
        }
    }
    sqlx::raw_sql("drop table public._sqlx_migrations").execute(&mut *tx).await?;
    // The views of queues that were written down are gone: they are counted anew.
    history::rebase(&mut tx).await?;
    let versions: Map<String, Value> =
        ADOPTED.iter().map(|(schema, version)| ((*schema).to_owned(), (*version).into())).collect();
    let detail = json!({ "before": { "version": OLD_HEAD.0 }, "after": versions });
    Actor::cli().note(&mut tx, "schema.adopt", "schema", None, &detail).await?;
    tx.commit().await?;
    conn.close().await?;
    Ok(())
}

/// The engine calls a function of MSP, once it has the functions to do so.
const ADD_HOOK: &str = "select queue.add_final_hook('ingest_', 'msp.keep_source_run')";

const NOT_EXPECTED: &str = "the schema is not the one that the old version made, so nothing was changed";

async fn require_old_head(conn: &mut PgConnection) -> anyhow::Result<()> {
    if !is_of_old_history(conn).await? {
        bail!(
            "there is nothing to adopt: this database is not of a version before 0.1.0; run `weirgate migrate up`"
        );
    }
    for (schema, _) in &ADOPTED[1..] {
        let is_there: bool = sqlx::query_scalar("select to_regnamespace($1) is not null")
            .bind(schema)
            .fetch_one(&mut *conn)
            .await?;
        if is_there {
            bail!("{NOT_EXPECTED}: there is a schema {schema} already");
        }
    }
    let applied: (Option<i64>, i64, bool) = sqlx::query_as(
        "select max(version), count(*), coalesce(bool_and(success), true) from public._sqlx_migrations",
    )
    .fetch_one(conn)
    .await?;
    let (version, is_whole) = (applied.0.unwrap_or(0), applied.2);
    if (version, applied.1) != OLD_HEAD || !is_whole {
        bail!(
            "the database is at version {version} of the old history, and only version {} can be adopted: run \
             `weirgate migrate up` of the last version before 0.1.0 first",
            OLD_HEAD.0
        );
    }
    Ok(())
}

/// Processes of the old version would go on under names that are gone.
async fn require_no_worker(conn: &mut PgConnection) -> anyhow::Result<()> {
    let live: i64 = sqlx::query_scalar("select count(*) from queue.workers where lease_until > queue.now()")
        .fetch_one(conn)
        .await?;
    if live > 0 {
        bail!(
            "{live} worker(s) still run or died a moment ago: stop them, wait for a minute, and run it again"
        );
    }
    Ok(())
}

/// The version of a schema that is taken over.
fn adopted(schema: &str) -> Option<i64> {
    ADOPTED.iter().find(|(name, _)| *name == schema).map(|(_, version)| *version)
}

/// The migrations of a history that make what is taken over.
fn baseline_of(history: &History) -> impl Iterator<Item = &'static Migration> {
    let last = adopted(history.schema).unwrap_or_default();
    let up = history.migrator.iter().filter(|it| !it.migration_type.is_down_migration());
    up.filter(move |it| it.version <= last)
}

/// What the baselines make on this server. They are rolled back.
async fn baseline(conn: &mut PgConnection, histories: &[History]) -> anyhow::Result<Catalog> {
    let mut tx = conn.begin().await?;
    sqlx::raw_sql("drop schema queue cascade").execute(&mut *tx).await?;
    for history in histories {
        tx.create_schema_if_not_exists(history.schema).await?;
        for migration in baseline_of(history) {
            sqlx::raw_sql(migration.sql.clone()).execute(&mut *tx).await?;
        }
    }
    let catalog = describe(&mut tx, histories).await?;
    tx.rollback().await?;
    Ok(catalog)
}

async fn describe(conn: &mut PgConnection, histories: &[History]) -> anyhow::Result<Catalog> {
    let schemas = histories.iter().map(|it| it.schema.to_owned()).collect::<Vec<_>>();
    let lines = sqlx::query_file_scalar!("src/schema/catalog.sql", &schemas).fetch_all(&mut *conn).await?;
    let definitions =
        sqlx::query_file_scalar!("src/schema/definitions.sql", &schemas).fetch_all(&mut *conn).await?;
    Ok(Catalog { lines, definitions })
}

fn compare(expected: &[String], found: &[String]) -> anyhow::Result<()> {
    let missing = expected.iter().filter(|it| !found.contains(it)).map(|it| format!("missing: {it}"));
    let unexpected = found.iter().filter(|it| !expected.contains(it)).map(|it| format!("unexpected: {it}"));
    let differences: Vec<String> = missing.chain(unexpected).collect();
    if differences.is_empty() {
        return Ok(());
    }
    let shown = differences.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("\n  ");
    bail!("{NOT_EXPECTED}. {} difference(s), such as:\n  {shown}", differences.len())
}
