//! The newest workflows.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use uuid::Uuid;
use weirgate_queue::query::{self, WorkflowRow};

use super::session::{Session, filled};
use super::view::{Frame, Refusal, When, page};
use crate::http::Api;
use crate::http::params::Fields;

const ON_A_PAGE: usize = 25;

/// Jobs that are counted of each.
const COUNTED: i64 = 500;

/// A workflow in the list.
struct Row {
    id: Uuid,
    tenant: String,
    kinds: String,
    created: When,
    jobs: i64,
    /// Whether there are more than were counted.
    more: bool,
    completed: i64,
    failed: i64,
    state: &'static str,
}

impl Row {
    async fn new(api: &Api, row: WorkflowRow) -> sqlx::Result<Self> {
        let more = row.jobs > COUNTED;
        let live = row.jobs - row.completed - row.failed;
        let state = match (live, row.failed) {
            (0, 0) if more => "completed so far",
            (0, 0) => "completed",
            (0, _) => "failed",
            _ if row.running > 0 => "running",
            _ => "waiting",
        };
        Ok(Self {
            id: row.id,
            tenant: api.slug(row.tenant_id).await?.to_string(),
            kinds: row.kinds.join(", "),
            created: When::new(row.created_at, row.observed_at),
            jobs: row.jobs.min(COUNTED),
            more,
            completed: row.completed.min(COUNTED),
            failed: row.failed,
            state,
        })
    }
}

#[derive(Template)]
#[template(path = "workflows.html")]
struct WorkflowsPage {
    frame: Frame,
    rows: Vec<Row>,
    older: Option<Uuid>,
}

pub(super) async fn list(
    State(api): State<Api>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let mut fields = Fields::of_pairs(filled(query.unwrap_or_default().as_bytes()));
    let before: Option<Uuid> = fields.get("before");
    fields.finish(Some(())).map_err(|problem| Refusal::from(problem).for_session(&session))?;
    let limit = i64::try_from(ON_A_PAGE + 1).unwrap_or(i64::MAX);
    let found = query::recent_workflows(&mut *api.pool.acquire().await?, before, limit, COUNTED).await?;
    let more = found.len() > ON_A_PAGE;
    let mut rows = Vec::with_capacity(ON_A_PAGE);
    for row in found.into_iter().take(ON_A_PAGE) {
        rows.push(Row::new(&api, row).await?);
    }
    let older = rows.last().filter(|_| more).map(|row| row.id);
    Ok(page(&WorkflowsPage { frame: Frame::new(&session, "/workflows"), rows, older }))
}
