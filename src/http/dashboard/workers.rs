//! The worker processes that live: what each runs, and the order to drain.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::audit::{Change, Subject};
use weirgate_identity::platform::Role;
use weirgate_queue::lanes::traffic;
use weirgate_queue::read::{self, WorkerRow};
use weirgate_web::dashboard::confirm::Confirm;
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::{Path, Refusal};
use weirgate_web::dashboard::sent::Form;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::when::{When, span};
use weirgate_web::dashboard::words::{count, of};

use crate::http::Api;

/// Running jobs that are shown.
const MOST: i64 = 100;

struct Worker {
    row: WorkerRow,
    running: String,
    started: When,
    heartbeat: When,
}

impl Worker {
    fn new(row: WorkerRow, now: DateTime<Utc>) -> Self {
        Self {
            running: count(row.running),
            started: When::new(row.started_at, now),
            heartbeat: When::new(row.heartbeat_at, now),
            row,
        }
    }
}

#[derive(Template)]
#[template(path = "workers.html")]
struct WorkersPage {
    frame: Frame,
    workers: Vec<Worker>,
}

async fn now(conn: &mut PgConnection) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"select queue.now() as "now!""#).fetch_one(conn).await
}

pub(super) async fn list(State(api): State<Api>, session: Session) -> Result<Response, Refusal> {
    let mut conn = api.pool.acquire().await?;
    let rows = read::workers(&mut conn).await?;
    let now = now(&mut conn).await?;
    let workers = rows.into_iter().map(|row| Worker::new(row, now)).collect();
    Ok(page(&WorkersPage { frame: Frame::new(&session, "/workers"), workers }))
}

struct Job {
    id: Uuid,
    kind: String,
    tenant: String,
    queue: String,
    runs: String,
}

#[derive(Template)]
#[template(path = "worker.html")]
struct WorkerPage {
    frame: Frame,
    worker: Worker,
    jobs: Vec<Job>,
}

async fn find(conn: &mut PgConnection, session: &Session, id: Uuid) -> Result<WorkerRow, Refusal> {
    let found = read::workers(conn).await?.into_iter().find(|row| row.id == id);
    found.ok_or_else(|| {
        let detail = "It has stopped, or its lease expired without a heartbeat.";
        Refusal::new(StatusCode::NOT_FOUND, "There is no such worker", detail).for_session(session)
    })
}

pub(super) async fn show(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<Uuid>,
) -> Result<Response, Refusal> {
    let mut conn = api.pool.acquire().await?;
    let row = find(&mut conn, &session, id).await?;
    let rows = read::running_on(&mut conn, id, MOST).await?;
    let now = now(&mut conn).await?;
    drop(conn);
    let mut jobs = Vec::with_capacity(rows.len());
    for row in rows {
        let tenant = api.web.slugs.of(row.tenant_id).await?.to_string();
        let runs = span(now - row.claimed_at);
        jobs.push(Job { id: row.id, kind: row.kind, tenant, queue: row.queue, runs });
    }
    let worker = Worker::new(row, now);
    Ok(page(&WorkerPage { frame: Frame::new(&session, "/workers"), worker, jobs }))
}

/// First says what will happen; once confirmed, tells the worker.
pub(super) async fn drain(
    State(api): State<Api>,
    Path(id): Path<Uuid>,
    form: Form,
) -> Result<Response, Refusal> {
    form.require(Role::Operator)?;
    let (session, confirmed) = form.confirmed()?;
    let mut tx = api.pool.begin().await?;
    let row = find(&mut tx, &session, id).await?;
    if !confirmed {
        let happens = effect(&mut tx, &row).await?;
        let title = format!("Drain {} (process {})", row.host, row.pid);
        return Ok(Confirm {
            frame: Frame::new(&session, "/workers"),
            yes: title.clone(),
            title,
            happens,
            details: Vec::new(),
            action: format!("/dashboard/workers/{id}/drain"),
            fields: Vec::new(),
            back: "/dashboard/workers".to_owned(),
        }
        .ask());
    }
    let change = Change::begin(&mut tx, Subject::Worker(id)).await?;
    weirgate_queue::worker::drain(&mut tx, id).await?;
    change.note(&mut tx, &session.actor(), "worker.drain", &["draining", "host", "pid"]).await?;
    tx.commit().await?;
    Ok(Redirect::to("/dashboard/workers").into_response())
}

async fn effect(conn: &mut PgConnection, row: &WorkerRow) -> weirgate_queue::Result<Vec<String>> {
    let mut happens = vec![format!(
        "It claims no further jobs. It finishes {}, however long that takes, and then exits with status 0, so that a \
         supervisor may restart it. With `weirgate up`, the API stops with it.",
        of(row.running, "running job", "running jobs")
    )];
    let workers = traffic::workers(conn).await?;
    let last =
        |queue: &&String| !row.draining && workers.get(*queue).is_some_and(|workers| workers.count == 1);
    happens.extend(row.queues.iter().filter(last).map(|queue| {
        format!(
            "It is the last live worker of queue {queue}: no job in it starts until another worker serves it."
        )
    }));
    Ok(happens)
}
