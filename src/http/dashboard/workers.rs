//! The worker processes that live.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::Utc;
use weirgate_queue::query::{self, WorkerRow};

use super::session::Session;
use super::view::{Frame, Refusal, When, page};
use crate::http::Api;

struct Worker {
    row: WorkerRow,
    started: When,
    heartbeat: When,
}

#[derive(Template)]
#[template(path = "workers.html")]
struct WorkersPage {
    frame: Frame,
    workers: Vec<Worker>,
}

pub(super) async fn show(State(api): State<Api>, session: Session) -> Result<Response, Refusal> {
    let mut conn = api.pool.acquire().await?;
    let rows = query::workers(&mut conn).await?;
    let now: chrono::DateTime<Utc> =
        sqlx::query_scalar!(r#"select queue.now() as "now!""#).fetch_one(&mut *conn).await?;
    let workers = rows.into_iter().map(|row| Worker {
        started: When::new(row.started_at, now),
        heartbeat: When::new(row.heartbeat_at, now),
        row,
    });
    Ok(page(&WorkersPage { frame: Frame::new(&session, "/workers"), workers: workers.collect() }))
}
