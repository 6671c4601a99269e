//! Rows of sources that could not be taken, the newest first, each with the job that found it.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use uuid::Uuid;
use weirgate_jobs::Tenant;
use weirgate_jobs::sources::Dataset;

use super::session::{Session, filled};
use super::view::{Frame, Refusal, When, page};
use crate::http::Api;
use crate::http::page::{Paging, cursor};
use crate::http::params::{Fields, TenantName, is_blank};
use crate::http::problem::{FieldError, Problem, Shown};
use crate::http::read_tx::ReadTx;
use crate::rejects::{self, Filter, Place, RejectedRow};

/// Tenants that are offered by name.
const OFFERED: i64 = 200;

/// The fields of its form.
const FIELDS: [&str; 4] = ["tenant_id", "dataset", "date", "job_id"];

struct Row {
    when: When,
    tenant: String,
    dataset: String,
    origin: String,
    line: i64,
    reason: String,
    content: Option<String>,
    job: Uuid,
}

impl Row {
    fn new(row: RejectedRow, now: DateTime<Utc>) -> Self {
        let RejectedRow { tenant, dataset, origin, line, reason, content, job_id, rejected_at, .. } = row;
        let when = When::new(rejected_at, now);
        Self { when, tenant, dataset, origin, line, reason, content, job: job_id }
    }
}

/// What was asked for, to be shown again, and what is wrong with it.
struct Asked {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Asked {
    fn of(&self, wanted: &str) -> &str {
        self.pairs.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value)
    }

    fn wrong(&self, wanted: &str) -> Option<&str> {
        self.errors.iter().find(|it| it.field == wanted).map(|it| it.message.as_str())
    }

    /// What is wrong with what the form has no field for.
    fn elsewhere(&self) -> impl Iterator<Item = &FieldError> {
        self.errors.iter().filter(|it| !FIELDS.contains(&it.field.as_str()))
    }

    /// The page after the one that ended there.
    fn query(&self, end: &Place) -> Option<String> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.pairs.iter().filter(|(name, _)| name != "cursor"));
        Some(query.append_pair("cursor", &cursor(end)?).finish())
    }
}

#[derive(Template)]
#[template(path = "rejects.html")]
struct RejectsPage {
    frame: Frame,
    asked: Asked,
    tenants: Vec<String>,
    rows: Vec<Row>,
    next: Option<String>,
}

impl RejectsPage {
    fn datasets(&self) -> impl Iterator<Item = (&'static str, bool)> + '_ {
        let given = self.asked.of("dataset");
        Dataset::ALL.into_iter().map(Dataset::name).map(move |name| (name, name == given))
    }

    fn is_filtered(&self) -> bool {
        FIELDS.iter().any(|field| !self.asked.of(field).is_empty())
    }
}

pub(super) async fn list(
    State(api): State<Api>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let mut pairs = filled(query.unwrap_or_default().as_bytes());
    pairs.retain(|(_, value)| !is_blank(value));
    let mut asked = Asked { pairs, errors: Vec::new() };
    let refuse = |error: sqlx::Error| Refusal::from(error).for_session(&session);
    let mut read = ReadTx::about_tenant(&api.pool).await.map_err(refuse)?;
    let tenants =
        sqlx::query_scalar!("select slug from tenants where is_active order by slug limit $1", OFFERED)
            .fetch_all(read.conn())
            .await?;
    let frame = Frame::new(&session, "/rejects");
    let found = match wanted(&mut read, &asked).await {
        Ok((filter, paging)) => find(&mut read, &filter, &paging).await.map_err(refuse)?,
        Err(problem) => {
            asked.errors = problem.field_errors().to_vec();
            if asked.errors.is_empty() {
                return Err(Refusal::from(problem).for_session(&session));
            }
            let mut answer = page(&RejectsPage { frame, asked, tenants, rows: Vec::new(), next: None });
            *answer.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            answer.extensions_mut().insert(Shown);
            return Ok(answer);
        }
    };
    let next = found.end.and_then(|end| asked.query(&end));
    Ok(page(&RejectsPage { frame, asked, tenants, rows: found.rows, next }))
}

async fn wanted(read: &mut ReadTx, asked: &Asked) -> Result<(Filter, Paging<Place>), Problem> {
    let mut fields = Fields::of_pairs(asked.pairs.clone());
    let named: Option<TenantName> = fields.get("tenant_id");
    let mut tenant = None;
    if let Some(named) = named {
        tenant = Tenant::find(read.conn(), &named.0).await?.map(|tenant| tenant.id);
        if tenant.is_none() {
            fields.fail("tenant_id", format!("there is no tenant {:?}", named.0));
        }
    }
    let filter = Filter {
        tenant,
        dataset: fields.get("dataset"),
        date: fields.get("date"),
        job: fields.get("job_id"),
    };
    let paging = Paging::take(&mut fields);
    fields.finish(Some((filter, paging)))
}

struct Found {
    rows: Vec<Row>,
    /// Where the page ended, if more follow.
    end: Option<Place>,
}

async fn find(read: &mut ReadTx, filter: &Filter, paging: &Paging<Place>) -> sqlx::Result<Found> {
    let now = sqlx::query_scalar!(r#"select queue.now() as "now!""#).fetch_one(read.conn()).await?;
    let rows = rejects::list(read.conn(), filter, paging.after.as_ref(), paging.rows()).await?;
    let mut rows: Vec<RejectedRow> = rows.try_collect().await?;
    let on_page = usize::try_from(paging.limit()).unwrap_or(usize::MAX);
    let has_more = rows.len() > on_page;
    rows.truncate(on_page);
    let end = rows.last().filter(|_| has_more).map(RejectedRow::place);
    Ok(Found { rows: rows.into_iter().map(|row| Row::new(row, now)).collect(), end })
}
