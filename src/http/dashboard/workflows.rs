//! Workflows by tenant, kind, day and state, the newest first.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use uuid::Uuid;
use weirgate_queue::read::{self, WorkflowFilter, WorkflowRow, WorkflowState};
use weirgate_web::dashboard::form::{FilterForm, Given, TENANTS, Wrong, at_page};
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::sent::filled;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::suggest::Suggestions;
use weirgate_web::dashboard::when::When;
use weirgate_web::job_list::tenant_of_filter;
use weirgate_web::params::Fields;
use weirgate_web::parse::TenantName;
use weirgate_web::problem::Problem;

use crate::http::Api;
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
        let tenant = api.web.slugs.of(row.tenant_id).await?.to_string();
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

fn form(given: &Given) -> FilterForm {
    let mut states = vec![("", "any")];
    states.extend(WorkflowState::ALL.map(|state| (state.as_str(), state.as_str())));
    given.filter(vec![
        given.field("tenant_id", "Tenant").suggesting(TENANTS),
        given.field("name", "Kind").suggesting("names"),
        given.field("date", "Day (tenant's time zone)").day(),
        given.field("state", "State").choice(states),
    ])
}

#[derive(Template)]
#[template(path = "workflows.html")]
struct WorkflowsPage {
    frame: Frame,
    form: FilterForm,
    suggestions: Suggestions,
    filtered: bool,
    rows: Vec<Row>,
    older: Option<String>,
}

pub(super) async fn list(
    State(api): State<Api>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let refuse = |refusal: Refusal| refusal.for_session(&session);
    let pairs = filled(query.unwrap_or_default().as_bytes());
    let suggestions = Suggestions::of_tenants(&mut *api.pool.acquire().await?).await;
    let mut shown = WorkflowsPage {
        frame: Frame::new(&session, "/workflows"),
        form: form(&Given::new(pairs.clone(), None)),
        suggestions: suggestions.map_err(|problem| refuse(problem.into()))?,
        filtered: pairs.iter().any(|(name, _)| name != "before"),
        rows: Vec::with_capacity(ON_A_PAGE),
        older: None,
    };
    match shown.fill(&api, &pairs).await {
        Ok(()) => Ok(page(&shown)),
        Err(problem) => {
            let wrong = Wrong::of(problem, "tenant_id").map_err(refuse)?;
            shown.form = form(&Given::new(pairs, Some(&wrong)));
            Ok(wrong.page(&shown))
        }
    }
}

impl WorkflowsPage {
    async fn fill(&mut self, api: &Api, pairs: &[(String, String)]) -> Result<(), Problem> {
        let mut fields = Fields::of_pairs(pairs.to_vec());
        let (mut filter, tenant): (WorkflowFilter, Option<TenantName>) = take_filter(&mut fields);
        filter.name = filter.name.map(|name| api.catalog.name_of(&name).to_owned());
        let before: Option<Uuid> = fields.get("before");
        fields.finish(Some(()))?;
        if let Some(name) = &tenant {
            filter.tenant = Some(tenant_of_filter(&api.web, name).await?);
        }
        let listed = {
            let mut read = api.web.reads.of_service().await?;
            read::workflows(read.conn(), &filter, before, ON_A_PAGE, COUNTED).await?
        };
        for row in listed.rows {
            self.rows.push(Row::new(api, row).await?);
        }
        self.older = listed.next.map(|before| at_page(pairs, "before", &before.to_string()));
        Ok(())
    }
}
