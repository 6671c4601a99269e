//! The roles that write for one tenant and that read for all, on tables as a domain has them.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;
use weirgate_identity::desk_tx::DeskTx;
use weirgate_identity::super_tx::SuperTx;
use weirgate_queue::job::RetryPolicy;
use weirgate_queue::worker::{Finish, Outcome, claim, finish, rescuer};
use weirgate_queue::{Job, JobContext, JobError, JobState, Kinds, NewJob};
use weirgate_test_support::{IDENTITY, TestDb, TestWorker, tenant};

/// A table whose rows belong to tenants, with the policies that CONTRIBUTING.md asks for.
const NOTES: &str = "
    create schema scratch;
    grant usage on schema scratch to weirgate_tenant, weirgate_desk, weirgate_super;
    create table scratch.notes (tenant_id uuid not null, text text not null, at timestamptz not null default queue.now());
    alter table scratch.notes enable row level security;
    create policy tenant_reads on scratch.notes for select to weirgate_tenant
        using (tenant_id = identity.current_tenant());
    create policy desk_writes on scratch.notes to weirgate_desk
        using (tenant_id = identity.current_tenant()) with check (tenant_id = identity.current_tenant());
    create policy super_reads on scratch.notes for select to weirgate_super using (true);
    grant select on scratch.notes to weirgate_tenant, weirgate_super;
    grant select, insert, update, delete on scratch.notes to weirgate_desk";

struct Scene {
    db: TestDb,
    here: Uuid,
    there: Uuid,
}

impl Scene {
    /// Two tenants with a note each.
    async fn new() -> Self {
        let db = TestDb::of(&IDENTITY).await;
        let (here, there) =
            (tenant(&db.pool, "here", "UTC").await.id, tenant(&db.pool, "there", "Asia/Tokyo").await.id);
        db.execute(NOTES).await;
        for id in [here, there] {
            sqlx::query("insert into scratch.notes values ($1, 'first')")
                .bind(id)
                .execute(&db.pool)
                .await
                .unwrap();
        }
        Self { db, here, there }
    }

    async fn notes(&self, tenant: Uuid) -> Vec<String> {
        sqlx::query_scalar("select text from scratch.notes where tenant_id = $1 order by text")
            .bind(tenant)
            .fetch_all(&self.db.pool)
            .await
            .unwrap()
    }
}

fn is_refused(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("42501")
}

#[tokio::test]
async fn a_write_without_where_touches_the_own_tenant_only() {
    let scene = Scene::new().await;
    let mut desk = DeskTx::begin(&scene.db.pool, scene.here).await.unwrap();
    let changed =
        sqlx::query("update scratch.notes set text = 'changed'").execute(desk.conn()).await.unwrap();
    assert_eq!(changed.rows_affected(), 1);
    sqlx::query("insert into scratch.notes (tenant_id, text) values ($1, 'added')")
        .bind(scene.here)
        .execute(desk.conn())
        .await
        .unwrap();
    let zones: Vec<String> =
        sqlx::query_scalar("select time_zone from identity.tenants").fetch_all(desk.conn()).await.unwrap();
    assert_eq!(zones, ["UTC"], "of the tenants it sees its own");
    desk.commit().await.unwrap();
    assert_eq!(scene.notes(scene.here).await, ["added", "changed"]);
    assert_eq!(scene.notes(scene.there).await, ["first"]);

    let mut desk = DeskTx::begin(&scene.db.pool, scene.here).await.unwrap();
    let deleted = sqlx::query("delete from scratch.notes").execute(desk.conn()).await.unwrap();
    assert_eq!(deleted.rows_affected(), 2);
    drop(desk);
    assert_eq!(scene.notes(scene.here).await, ["added", "changed"], "what is dropped is rolled back");
}

#[tokio::test]
async fn a_row_of_another_tenant_is_refused() {
    let scene = Scene::new().await;
    for sql in [
        "insert into scratch.notes (tenant_id, text) values ($1, 'smuggled')",
        "update scratch.notes set tenant_id = $1",
    ] {
        let mut desk = DeskTx::begin(&scene.db.pool, scene.here).await.unwrap();
        let error = sqlx::query(sql).bind(scene.there).execute(desk.conn()).await.unwrap_err();
        assert!(is_refused(&error) && error.to_string().contains("row-level security"), "{sql}: {error}");
    }
    assert_eq!(scene.notes(scene.there).await, ["first"]);
}

#[tokio::test]
async fn what_is_not_the_desks_is_refused() {
    let scene = Scene::new().await;
    for sql in [
        "select * from queue.jobs",
        "delete from queue.jobs",
        "select * from queue.private_args",
        "update identity.tenants set name = 'x'",
        "select * from identity.users",
        "select * from identity.api_keys",
        "delete from identity.audit",
        "drop table scratch.notes",
    ] {
        let mut desk = DeskTx::begin(&scene.db.pool, scene.here).await.unwrap();
        let error = sqlx::raw_sql(sql).execute(desk.conn()).await.unwrap_err();
        assert!(is_refused(&error), "{sql}: {error}");
    }
}

#[tokio::test]
async fn role_and_tenant_of_before_are_back_when_it_is_done_and_gone_from_the_connection_afterwards() {
    let scene = Scene::new().await;
    let set = "select current_user::text, coalesce(current_setting('weirgate.tenant', true), '')";
    let owner: (String, String) = sqlx::query_as(set).fetch_one(&scene.db.pool).await.unwrap();
    let mut outer = scene.db.pool.begin().await.unwrap();
    sqlx::query(
        "select set_config('role', 'weirgate_tenant', true), set_config('weirgate.tenant', $1, true)",
    )
    .bind(scene.there.to_string())
    .execute(&mut *outer)
    .await
    .unwrap();
    let mut desk = DeskTx::under(outer, scene.here).await.unwrap();
    let within: (String, String) = sqlx::query_as(set).fetch_one(desk.conn()).await.unwrap();
    assert_eq!(within, ("weirgate_desk".to_owned(), scene.here.to_string()));
    let mut outer = desk.done().await.unwrap();
    let back: (String, String) = sqlx::query_as(set).fetch_one(&mut *outer).await.unwrap();
    assert_eq!(back, ("weirgate_tenant".to_owned(), scene.there.to_string()));
    outer.commit().await.unwrap();

    let mut desk = DeskTx::begin(&scene.db.pool, scene.here).await.unwrap();
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(desk.conn()).await.unwrap();
    desk.commit().await.unwrap();
    let mut conns = Vec::new();
    loop {
        let mut conn = scene.db.pool.acquire().await.unwrap();
        let own: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *conn).await.unwrap();
        if own == pid {
            let after: (String, String) = sqlx::query_as(set).fetch_one(&mut *conn).await.unwrap();
            assert_eq!(after, owner);
            return;
        }
        conns.push(conn);
    }
}

#[tokio::test]
async fn all_tenants_are_read_and_every_write_is_refused() {
    let scene = Scene::new().await;
    let count = "select count(distinct tenant_id) from scratch.notes";
    let mut read = SuperTx::begin(&scene.db.pool).await.unwrap();
    let tenants: i64 = sqlx::query_scalar(count).fetch_one(read.conn()).await.unwrap();
    assert_eq!(tenants, 2);
    for (table, rows) in [("identity.tenants", 2), ("queue.jobs", 0)] {
        let sql = sqlx::AssertSqlSafe(format!("select count(*) from {table} where true"));
        let seen: i64 = sqlx::query_scalar(sql).fetch_one(read.conn()).await.unwrap();
        // The tenant of the system is among them.
        assert!(seen >= rows, "{table}: {seen}");
    }
    let error = sqlx::query("delete from scratch.notes").execute(read.conn()).await.unwrap_err();
    assert!(is_refused(&error) || error.to_string().contains("read-only"), "{error}");
    drop(read);
    // The role itself, where the transaction could write.
    for sql in [
        "insert into scratch.notes (tenant_id, text) select id, 'x' from identity.tenants",
        "update scratch.notes set text = 'x'",
        "delete from scratch.notes",
        "update identity.tenants set name = 'x'",
        "delete from queue.jobs",
        "update queue.lanes set paused = true",
        "select * from queue.private_args",
        "select * from identity.users",
        "select * from identity.sessions",
        "select * from identity.api_keys",
        "create table scratch.own ()",
    ] {
        let mut tx = scene.db.pool.begin().await.unwrap();
        sqlx::query("set local role weirgate_super").execute(&mut *tx).await.unwrap();
        let error = sqlx::raw_sql(sql).execute(&mut *tx).await.unwrap_err();
        assert!(is_refused(&error), "{sql}: {error}");
    }
}

/// Adds a note for its tenant, in the transaction that completes it.
#[derive(Serialize, Deserialize)]
struct AddNote {
    /// How many attempts fail after they have written.
    failing: u16,
}

struct Desk {
    pool: PgPool,
}

impl Job for AddNote {
    const KIND: &'static str = "add_note";
    type App = Desk;
    type Output = ();

    fn retry() -> RetryPolicy {
        RetryPolicy { base: Duration::from_millis(20), ..RetryPolicy::default() }
    }

    async fn run(&self, ctx: &JobContext<Desk>) -> Result<(), JobError> {
        let run = ctx.run().expect("it runs in the queue");
        let mut desk = DeskTx::begin(&ctx.app.pool, run.tenant).await?;
        sqlx::query(
            "insert into scratch.notes (tenant_id, text) values (identity.current_tenant(), 'by a job')",
        )
        .execute(desk.conn())
        .await?;
        if run.attempt <= self.failing {
            return Err(std::io::Error::other("after it has written").into());
        }
        ctx.finish_in(desk.done().await?, &()).await
    }
}

#[tokio::test]
async fn a_job_writes_for_its_tenant_and_completes_exactly_once() {
    let scene = Scene::new().await;
    let desk = Arc::new(Desk { pool: scene.db.pool.clone() });
    let kinds = Arc::new(Kinds::default().with::<AddNote>().run_with(desk));
    let worker = TestWorker::start_jobs(&scene.db, kinds, |_| {});
    let job = scene.db.enqueue(scene.here, &AddNote { failing: 2 }).await.id;
    let done = scene.db.until(job, JobState::Completed).await;
    worker.stop().await;
    assert_eq!(done.attempt, 3);
    assert_eq!(scene.notes(scene.here).await, ["by a job", "first"]);
    assert_eq!(scene.notes(scene.there).await, ["first"]);
}

#[tokio::test]
async fn a_run_that_has_lost_its_job_writes_nothing_for_the_tenant() {
    let scene = Scene::new().await;
    let db = &scene.db;
    let job = NewJob::of(scene.here, &AddNote { failing: 0 }).unwrap();
    let job = db.enqueue_new(job).await.id;
    let worker = db.register_worker().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let stale = claim(&mut conn, worker, "default", 1).await.unwrap().remove(0).run;
    db.travel(Duration::from_mins(2)).await;
    rescuer::run_once(&db.pool).await.unwrap();
    let mut desk = DeskTx::begin(&db.pool, scene.here).await.unwrap();
    sqlx::query("update scratch.notes set text = 'stale'").execute(desk.conn()).await.unwrap();
    let mut tx = desk.done().await.unwrap();
    let outcome = Outcome::Completed { output: serde_json::Value::Null, next: vec![] };
    assert!(finish(&mut tx, vec![Finish::of(&stale, outcome)]).await.unwrap().is_empty());
    drop(tx);
    assert_eq!(scene.notes(scene.here).await, ["first"]);
    assert_eq!(db.job(job).await.state(), JobState::Available);
}
