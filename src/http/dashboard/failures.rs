//! Failures: retryable and discarded jobs, grouped by their last error.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use weirgate_queue::telemetry::failures::{self, Failure, MAX_COUNTED_JOBS};
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::sent::filled;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::when::When;
use weirgate_web::params::Fields;

use super::chart::{Column, sparkline};
use crate::http::Api;

const ON_A_PAGE: i64 = 50;
/// Hours of a sparkline.
const HOURS: u16 = 48;

struct Row {
    failure: Failure,
    first: When,
    last: When,
    spark: Vec<Column>,
    /// The sparkline in words.
    recent: String,
}

impl Row {
    /// As many as were counted.
    fn count(&self, count: i64) -> String {
        let more = self.failure.retryable + self.failure.discarded > MAX_COUNTED_JOBS;
        format!("{count}{}", if more && count > 0 { " or more" } else { "" })
    }
}

#[derive(Template)]
#[template(path = "failures.html")]
struct FailuresPage {
    frame: Frame,
    rows: Vec<Row>,
    older: Option<String>,
}

pub(super) async fn show(
    State(api): State<Api>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let mut fields = Fields::of_pairs(filled(query.unwrap_or_default().as_bytes()));
    let at: Option<DateTime<Utc>> = fields.get("before");
    let id = fields.in_range("before_id", 0..=(1 << 52) - 1);
    let before =
        fields.finish(Some(at.zip(id))).map_err(|problem| Refusal::from(problem).for_session(&session))?;
    let mut conn = api.pool.acquire().await?;
    let listed = failures::list(&mut conn, before, ON_A_PAGE).await?;
    let ids: Vec<i64> = listed.rows.iter().map(|failure| failure.id).collect();
    let hours = failures::by_hour(&mut conn, &ids, HOURS).await?;
    let now = sqlx::query_scalar!(r#"select queue.now() as "now!""#).fetch_one(&mut *conn).await?;
    let rows = listed.rows.into_iter().zip(hours).map(|(failure, hours)| Row {
        first: When::new(failure.first_seen, now),
        last: When::new(failure.last_seen, now),
        recent: format!(
            "{} in the last 48 hours, {} in the last hour",
            hours.iter().sum::<i64>(),
            hours.last().copied().unwrap_or_default()
        ),
        spark: sparkline(&hours),
        failure,
    });
    let older = listed.next.map(|(at, id)| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("before", &at.to_rfc3339()).append_pair("before_id", &id.to_string());
        query.finish()
    });
    Ok(page(&FailuresPage { frame: Frame::new(&session, "/failures"), rows: rows.collect(), older }))
}
