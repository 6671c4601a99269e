//! Workflows by tenant, kind, day and state, the newest first.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use uuid::Uuid;
use weirgate_queue::query::{self, WorkflowFilter, WorkflowRow, WorkflowState};

use super::session::{Session, filled};
use super::view::{Frame, Refusal, When, page};
use crate::http::Api;
use crate::http::job_list::tenant_of_filter;
use crate::http::params::{Fields, TenantName};
use crate::http::read_tx::ReadTx;
use crate::http::workflow::{in_words, take_filter};

const ON_A_PAGE: usize = 25;

/// Jobs that are counted of each.
const COUNTED: u32 = 500;

/// A workflow in the list.
struct Row {
    id: Uuid,
    tenant: String,
    title: String,
    kinds: String,
    day: Option<String>,
    created: When,
    jobs: u64,
    /// Whether there are more than were counted.
    more: bool,
    completed: i64,
    failed: i64,
    state: WorkflowState,
}

impl Row {
    async fn new(api: &Api, row: WorkflowRow) -> sqlx::Result<Self> {
        use weirgate_queue::JobState::{Cancelled, Completed, Discarded};
        let tenant = api.slug(row.tenant_id).await?.to_string();
        Ok(Self {
            id: row.id,
            title: in_words(row.name.as_deref(), &tenant, row.subject.as_deref()),
            tenant,
            kinds: row.kinds.join(", "),
            day: row.subject,
            created: When::new(row.created_at, row.observed_at),
            jobs: row.jobs,
            more: row.more,
            completed: row.counts.of(Completed),
            failed: row.counts.of(Discarded) + row.counts.of(Cancelled),
            state: row.state,
        })
    }

    /// The class of its state, which is that of a job.
    fn class(&self) -> &'static str {
        class(self.state)
    }
}

/// The state of a job that looks the same.
pub(super) fn class(state: WorkflowState) -> &'static str {
    match state {
        WorkflowState::Failed => "discarded",
        other => other.as_str(),
    }
}

/// The filter as it was given, to be shown again.
struct Asked(Vec<(String, String)>);

impl Asked {
    fn of(&self, wanted: &str) -> &str {
        self.0.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value)
    }

    /// As a query, with another page.
    fn query(&self, before: Uuid) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.0.iter().filter(|(name, _)| name != "before"));
        query.append_pair("before", &before.to_string());
        query.finish()
    }
}

#[derive(Template)]
#[template(path = "workflows.html")]
struct WorkflowsPage {
    frame: Frame,
    asked: Asked,
    filtered: bool,
    rows: Vec<Row>,
    older: Option<String>,
}

impl WorkflowsPage {
    fn states() -> [WorkflowState; 5] {
        WorkflowState::ALL
    }
}

pub(super) async fn list(
    State(api): State<Api>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let refuse = |refusal: Refusal| refusal.for_session(&session);
    let pairs = filled(query.unwrap_or_default().as_bytes());
    let asked = Asked(pairs.clone());
    let mut fields = Fields::of_pairs(pairs);
    let (mut filter, tenant): (WorkflowFilter, Option<TenantName>) = take_filter(&mut fields);
    let before: Option<Uuid> = fields.get("before");
    fields.finish(Some(())).map_err(|problem| refuse(problem.into()))?;
    if let Some(name) = &tenant {
        let found = tenant_of_filter(&api, name).await;
        filter.tenant = Some(found.map_err(|problem| refuse(problem.into()))?);
    }
    let listed = {
        let mut read = ReadTx::of_service(&api).await.map_err(|problem| refuse(problem.into()))?;
        query::workflows(read.conn(), &filter, before, ON_A_PAGE, COUNTED).await?
    };
    let mut rows = Vec::with_capacity(ON_A_PAGE);
    for row in listed.rows {
        rows.push(Row::new(&api, row).await?);
    }
    let older = listed.next.map(|before| asked.query(before));
    let filtered = filter != WorkflowFilter::default();
    Ok(page(&WorkflowsPage { frame: Frame::new(&session, "/workflows"), asked, filtered, rows, older }))
}
