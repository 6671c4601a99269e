//! Who did what, when, to what, from where, and how that was before.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use sqlx::PgConnection;

use super::audit_entry::Entry;
use super::session::{Session, filled};
use super::view::{Frame, Refusal, page};
use crate::audit::{self, Filter, Listed, VIAS};
use crate::http::Api;
use crate::http::internal::audit::take_filter;
use crate::http::job_list::tenant_of_filter;
use crate::http::params::Fields;
use crate::http::problem::{FieldError, Problem, Shown};

const ON_A_PAGE: i64 = 100;

/// Groups of actions, to choose from.
const GROUPS: [&str; 14] = [
    "sign_in", "sign_out", "job", "jobs", "queue", "lane", "tenant", "workflow", "backfill", "schedule",
    "worker", "user", "key", "schema",
];

/// The filter as it was given, to be shown again and to be sent for the next page.
struct Asked(Vec<(String, String)>);

impl Asked {
    fn of(&self, wanted: &str) -> &str {
        self.0.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value)
    }

    /// As a query, for the page that begins there.
    fn query(&self, before: i64) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.0).append_pair("before", &before.to_string());
        query.finish()
    }
}

/// Names, labels and examples of what can be asked for.
const FIELDS: [(&str, &str, &str); 7] = [
    ("action", "What", "queue.pause"),
    ("actor", "Who", "ada@example.com"),
    ("target", "To what", "kpi"),
    ("tenant_id", "Tenant", "tenant_demo_cca"),
    ("via", "By which way", ""),
    ("from", "From", "2026-01-31T00:00:00Z"),
    ("to", "Before", "2026-02-01T00:00:00Z"),
];

/// A field of the form.
struct Field {
    name: &'static str,
    label: &'static str,
    example: &'static str,
    value: String,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    asked: Asked,
    fields: Vec<Field>,
    /// What is wrong with something that the form has no field for.
    other_errors: Vec<FieldError>,
    refused: bool,
    actors: Vec<String>,
    groups: &'static [&'static str],
    vias: &'static [&'static str],
    entries: Vec<Entry>,
    next: Option<String>,
}

impl AuditPage {
    fn new(session: &Session, asked: Asked, actors: Vec<String>, errors: Vec<FieldError>) -> Self {
        let field = |(name, label, example): (&'static str, &'static str, &'static str)| {
            let error = errors.iter().find(|error| error.field == name).map(|error| error.message.clone());
            Field { name, label, example, value: asked.of(name).to_owned(), error }
        };
        let fields = FIELDS.map(field).into();
        let refused = !errors.is_empty();
        let has_field = |error: &FieldError| FIELDS.iter().any(|(name, ..)| error.field == *name);
        Self {
            frame: Frame::new(session, "/audit"),
            asked,
            fields,
            other_errors: errors.into_iter().filter(|error| !has_field(error)).collect(),
            refused,
            actors,
            groups: &GROUPS,
            vias: &VIAS,
            entries: Vec::new(),
            next: None,
        }
    }

    fn is_filtered(&self) -> bool {
        !self.asked.0.is_empty()
    }
}

pub(super) async fn show(
    State(api): State<Api>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let pairs = filled(query.unwrap_or_default().as_bytes());
    let fields = Fields::of_pairs(pairs.clone());
    let asked = Asked(pairs.into_iter().filter(|(name, _)| name != "before").collect());
    let read = read(&api, fields).await;
    let mut conn = api.pool.acquire().await?;
    let actors = audit::actors(&mut conn).await?;
    match read {
        Ok((filter, before)) => {
            let mut shown = AuditPage::new(&session, asked, actors, Vec::new());
            shown.fill(&mut conn, &filter, before).await?;
            Ok(page(&shown))
        }
        // What was typed is not lost with what is wrong with it.
        Err(Wrong::Fields(errors)) => {
            let mut response = page(&AuditPage::new(&session, asked, actors, errors));
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            response.extensions_mut().insert(Shown);
            Ok(response)
        }
        Err(Wrong::Other(problem)) => Err(Refusal::from(problem).for_session(&session)),
    }
}

impl AuditPage {
    async fn fill(
        &mut self,
        conn: &mut PgConnection,
        filter: &Filter,
        before: Option<i64>,
    ) -> sqlx::Result<()> {
        let Listed { entries, next } = audit::list(conn, filter, before, ON_A_PAGE).await?;
        self.entries = entries.into_iter().map(Entry::from).collect();
        self.next = next.map(|id| self.asked.query(id));
        Ok(())
    }
}

/// Why there is no list.
enum Wrong {
    /// Told beside the fields.
    Fields(Vec<FieldError>),
    Other(Problem),
}

async fn read(api: &Api, mut fields: Fields) -> Result<(Filter, Option<i64>), Wrong> {
    let before = fields.in_range("before", 1..=i64::MAX);
    let (mut filter, tenant) = take_filter(&mut fields);
    fields.finish(Some(())).map_err(|problem| match problem.errors() {
        [] => Wrong::Other(problem),
        errors => Wrong::Fields(errors.to_vec()),
    })?;
    if let Some(name) = &tenant {
        let found = tenant_of_filter(api, name).await;
        filter.tenant = Some(found.map_err(|problem| match problem.words() {
            (StatusCode::NOT_FOUND, _, message) => {
                Wrong::Fields(vec![FieldError { field: "tenant_id".to_owned(), message }])
            }
            (status, title, detail) => Wrong::Other(Problem::new(status, "refused", title, detail)),
        })?);
    }
    Ok((filter, before))
}
