//! `migrate adopt`: a database of a version before 0.1.0, taken over with its data or left alone.

use std::process::Command;

use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_test_support::{Does, Probe, Step, TestWorker, postgres_program};

use super::cli::Cli;

/// The schema of such a database.
const OLD_SCHEMA: &str = include_str!("old_schema.sql");

/// What its migrations wrote, and what had happened in it since.
const OLD_ROWS: &str = "
    create table public._sqlx_migrations (
        version bigint primary key, description text not null, installed_on timestamptz not null default now(),
        success boolean not null, checksum bytea not null, execution_time bigint not null
    );
    insert into public._sqlx_migrations (version, description, success, checksum, execution_time)
    select version, 'as it was', true, '', 0 from generate_series(1, 36) as version where version not in (30, 34);
    insert into public.api_key_changes default values;
    insert into queue.leader (term, lease_until) values (7, 'epoch');
    insert into queue.history (system_identifier, timeline, table_oid, server_started)
    select system_identifier, queue.timeline(), 'queue.history'::regclass, pg_postmaster_start_time() from pg_control_system();
    insert into public.tenants (id, slug, name) values ('00000000-0000-0000-0000-00000000000a', 'acme', 'Acme');
    insert into public.kpi_daily
    select '00000000-0000-0000-0000-00000000000a', '2026-01-20', 1, 1, 0, null, null, null, 1, 1, 0, 0, false, null, now();
    insert into queue.jobs (id, tenant_id, queue, kind, state, max_attempts, args, created_at, scheduled_at, finalized_at)
    values
        ('00000000-0000-0000-0000-0000000000d1', '00000000-0000-0000-0000-00000000000a', 'kpi', 'compute_kpi', 'discarded', 1,
         '{\"tenant\": \"acme\", \"date\": \"2026-01-21\"}', now(), now(), now());
    insert into queue.lane_books (queue, at, oldest_xid, no, book) values ('default', now(), 3, 0, '{}');
";

/// The job that failed in the old database, and the one that waits there.
const FAILED: Uuid = Uuid::from_u128(0xd1);
const WAITS: Uuid = Uuid::from_u128(0xa1);

/// Puts an old database in the place of the one that is there.
async fn make_old(pool: &PgPool) {
    for sql in [
        "drop schema queue, identity, msp cascade",
        // What tests have beside it is none of the old database's.
        "drop table public.test_clock",
        OLD_SCHEMA,
        OLD_ROWS,
    ] {
        sqlx::raw_sql(sql).execute(pool).await.unwrap();
    }
    sqlx::query(
        "insert into queue.jobs (id, tenant_id, queue, kind, state, max_attempts, args, created_at, scheduled_at)
         values ($1, '00000000-0000-0000-0000-00000000000a', 'default', 'step', 'available', 1, $2, now(), now())",
    )
    .bind(WAITS)
    .bind(serde_json::to_value(Step::new("a", Does::Succeed)).unwrap())
    .execute(pool)
    .await
    .unwrap();
}

async fn old() -> Cli {
    let cli = Cli::new().await;
    make_old(&cli.db.pool).await;
    cli
}

/// What `pg_dump` says of the schema.
fn dump(cli: &Cli) -> String {
    let output = Command::new(postgres_program("pg_dump"))
        .args(["--schema-only", "--no-owner"])
        .arg(&cli.db.url)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    // The key of each dump differs.
    said.lines().filter(|line| !line.contains("restrict ")).collect::<Vec<_>>().join("\n")
}

/// Rows of every table, by their text, and everything of the catalog that a refusal could have
/// changed.
async fn everything(cli: &Cli) -> (String, i64) {
    let jobs = sqlx::query_scalar("select count(*) from queue.jobs").fetch_one(&cli.db.pool).await.unwrap();
    (dump(cli), jobs)
}

#[tokio::test]
async fn adopted_database_has_the_schemas_of_a_new_one() {
    let cli = old().await;
    let refused = cli.refused(&["migrate", "up"]).await;
    assert!(refused.contains("weirgate migrate adopt"), "{refused}");
    for command in [&["worker"][..], &["migrate", "status"], &["migrate", "down", "--yes"]] {
        assert!(cli.refused(command).await.contains("weirgate migrate adopt"), "{command:?}");
    }
    let said = cli.ok(&["migrate", "adopt"]).await;
    assert!(said.contains("adopted with all its data"), "{said}");
    let new = Cli::new().await;
    for sql in ["drop schema queue, identity, msp cascade", "drop table public.test_clock"] {
        sqlx::raw_sql(sql).execute(&new.db.pool).await.unwrap();
    }
    new.ok(&["migrate", "up"]).await;
    let (adopted, new) = (dump(&cli), dump(&new));
    let differences: Vec<_> =
        adopted.lines().zip(new.lines()).filter(|(left, right)| left != right).collect();
    assert!(adopted == new, "{differences:#?}");
    assert!(cli.ok(&["migrate", "up"]).await.contains("0 applied"));
    assert!(!cli.ok(&["migrate", "status"]).await.contains("pending"));
    assert!(cli.refused(&["migrate", "adopt"]).await.contains("nothing to adopt"));
}

#[tokio::test]
async fn adopted_database_keeps_its_rows_and_runs_its_jobs() {
    let cli = old().await;
    cli.ok(&["migrate", "adopt"]).await;
    let (tenant, minutes): (String, i64) = sqlx::query_as(
        "select t.slug, k.total_minutes from identity.tenants t join msp.kpi_daily k on k.tenant_id = t.id",
    )
    .fetch_one(&cli.db.pool)
    .await
    .unwrap();
    assert_eq!((tenant.as_str(), minutes), ("acme", 1));
    assert_eq!(cli.db.job(FAILED).await.subject.as_deref(), Some("2026-01-21"));
    let worker = TestWorker::start(&cli.db, &Probe::new(cli.db.pool.clone()));
    cli.db.until(WAITS, JobState::Completed).await;
    worker.stop().await;
    let noted: i64 = sqlx::query_scalar("select count(*) from identity.audit where action = 'schema.adopt'")
        .fetch_one(&cli.db.pool)
        .await
        .unwrap();
    assert_eq!(noted, 1);
}

#[tokio::test]
async fn other_schema_than_the_expected_one_is_refused_and_stays() {
    for (change, named) in [
        ("alter table public.tenants add column plan text", "identity.tenants.plan"),
        ("drop index queue.jobs_backfill", "jobs_backfill"),
        ("alter table queue.jobs alter column kind drop not null", "queue.jobs.kind"),
        ("alter table public.exports disable row level security", "msp.exports"),
        (
            "grant insert on public.kpi_daily to weirgate_tenant",
            "grant INSERT on msp.kpi_daily to weirgate_tenant",
        ),
        ("drop table public.exports", "public.exports"),
        ("create schema msp", "msp"),
    ] {
        let cli = old().await;
        sqlx::raw_sql(change).execute(&cli.db.pool).await.unwrap();
        let before = everything(&cli).await;
        let said = cli.refused(&["migrate", "adopt"]).await;
        assert!(said.contains("nothing was changed") && said.contains(named), "{change}: {said}");
        assert!(everything(&cli).await == before, "{change}");
    }
}

#[tokio::test]
async fn older_version_and_live_workers_are_refused() {
    for (change, named) in [
        ("delete from public._sqlx_migrations where version = 36", "version 35 of the old history"),
        ("update public._sqlx_migrations set success = false where version = 36", "of the old history"),
        (
            "insert into queue.workers (id, host, pid, version, queues, started_at, heartbeat_at, lease_until)
             values (gen_random_uuid(), 'h', 1, '0', '{}', now(), now(), now() + interval '1 minute')",
            "1 worker(s) still run",
        ),
    ] {
        let cli = old().await;
        sqlx::raw_sql(AssertSqlSafe(change)).execute(&cli.db.pool).await.unwrap();
        let before = everything(&cli).await;
        let said = cli.refused(&["migrate", "adopt"]).await;
        assert!(said.contains(named), "{change}: {said}");
        assert!(everything(&cli).await == before, "{change}");
    }
}
