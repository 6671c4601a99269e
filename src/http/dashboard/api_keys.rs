//! The API keys of all tenants; each is made and revoked on the page of its tenant.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use az::SaturatingAs;
use chrono::{DateTime, Utc};
use uuid::Uuid;
use weirgate_identity::keys::{self, Listed};
use weirgate_identity::platform::Role;
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::sent::filled;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::when::When;
use weirgate_web::params::Fields;

use crate::http::Api;
use crate::http::sign_in_rows::now;

const ON_A_PAGE: i64 = 100;

struct Row {
    tenant: String,
    prefix: String,
    name: String,
    /// None are the default ones.
    scopes: Option<Vec<String>>,
    /// Why it is refused, if it is.
    refused: Option<String>,
    created: When,
    expires: Option<When>,
    used: Option<When>,
}

impl Row {
    fn new(key: Listed, now: DateTime<Utc>) -> Self {
        Self {
            tenant: key.tenant,
            prefix: key.prefix,
            name: key.name,
            scopes: key.scopes,
            refused: key.refused.map(|refused| refused.replace('_', " ")),
            created: When::new(key.created_at, now),
            expires: key.expires_at.map(|at| When::new(at, now)),
            used: key.last_used_at.map(|at| When::new(at, now)),
        }
    }
}

#[derive(Template)]
#[template(path = "api_keys.html")]
struct KeysPage {
    frame: Frame,
    tab: &'static str,
    rows: Vec<Row>,
    next: Option<String>,
}

pub(super) async fn list(
    State(api): State<Api>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    session.require(Role::Admin)?;
    let mut fields = Fields::of_pairs(filled(query.unwrap_or_default().as_bytes()));
    let tenant = fields.get::<String>("after").unwrap_or_default();
    let key = fields.get::<Uuid>("key").unwrap_or_default();
    fields.finish(Some(())).map_err(|problem| Refusal::from(problem).for_session(&session))?;
    let mut conn = api.pool.acquire().await?;
    let mut found = keys::page(&mut conn, None, None, (&tenant, key), ON_A_PAGE + 1).await?;
    let on_page = ON_A_PAGE.saturating_as::<usize>();
    let next = (found.len() > on_page).then(|| {
        let last = &found[on_page - 1];
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("after", &last.tenant).append_pair("key", &last.id.to_string()).finish()
    });
    found.truncate(on_page);
    let now = now(&mut conn).await?;
    let rows = found.into_iter().map(|key| Row::new(key, now)).collect();
    Ok(page(&KeysPage { frame: Frame::new(&session, "/accounts"), tab: "keys", rows, next }))
}
