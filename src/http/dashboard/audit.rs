//! Who did what, when, to what.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;

use super::session::{Session, filled};
use super::view::{Frame, Refusal, When, page};
use crate::http::Api;
use crate::http::params::Fields;

const ON_A_PAGE: i64 = 100;

struct Entry {
    id: i64,
    when: When,
    actor: String,
    action: String,
    target: String,
    job: bool,
    detail: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    entries: Vec<Entry>,
    next: Option<i64>,
}

pub(super) async fn show(
    State(api): State<Api>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let mut fields = Fields::of_pairs(filled(query.unwrap_or_default().as_bytes()));
    let before = fields.in_range("before", 1..=i64::MAX);
    let before =
        fields.finish(Some(before)).map_err(|problem| Refusal::from(problem).for_session(&session))?;
    let rows = sqlx::query!(
        r#"select id, at, actor, action, target, detail, queue.now() as "now!" from audit
           where $1::bigint is null or id < $1 order by id desc limit $2"#,
        before,
        ON_A_PAGE
    )
    .fetch_all(&api.pool)
    .await?;
    let next = (i64::try_from(rows.len()) == Ok(ON_A_PAGE)).then(|| rows.last().map(|row| row.id)).flatten();
    let entries = rows.into_iter().map(|row| Entry {
        id: row.id,
        when: When::new(row.at, row.now),
        actor: row.actor,
        job: row.action.starts_with("job."),
        action: row.action,
        target: row.target,
        detail: if row.detail == serde_json::json!({}) { String::new() } else { row.detail.to_string() },
    });
    Ok(page(&AuditPage { frame: Frame::new(&session, "/audit"), entries: entries.collect(), next }))
}
