//! The accounts of all who sign in, whatever for.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use az::SaturatingAs;
use chrono::{DateTime, Utc};
use uuid::Uuid;
use weirgate_identity::accounts::{self, Listed};
use weirgate_identity::platform::Role;
use weirgate_web::dashboard::form::at_page;
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::sent::filled;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::when::When;
use weirgate_web::params::Fields;

use crate::http::Api;
use crate::http::sign_in_rows::now;

const ON_A_PAGE: i64 = 50;

struct Row {
    id: Uuid,
    email: String,
    name: String,
    roles: String,
    state: &'static str,
    created: When,
    used: Option<When>,
}

impl Row {
    fn new(account: Listed, now: DateTime<Utc>) -> Self {
        Self {
            id: account.id,
            roles: account.roles_in_words(),
            state: account.state(),
            created: When::new(account.created_at, now),
            used: account.last_used_at.map(|at| When::new(at, now)),
            email: account.email,
            name: account.full_name,
        }
    }
}

#[derive(Template)]
#[template(path = "accounts.html")]
struct AccountsPage {
    frame: Frame,
    tab: &'static str,
    q: String,
    rows: Vec<Row>,
    next: Option<String>,
}

pub(super) async fn list(
    State(api): State<Api>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    session.require(Role::Admin)?;
    let pairs = filled(query.unwrap_or_default().as_bytes());
    let mut fields = Fields::of_pairs(pairs.clone());
    let (q, after) = (fields.get::<String>("q"), fields.get::<String>("after").unwrap_or_default());
    fields.finish(Some(())).map_err(|problem| Refusal::from(problem).for_session(&session))?;
    let mut conn = api.pool.acquire().await?;
    let mut found = accounts::find(&mut conn, q.as_deref(), &after, ON_A_PAGE + 1).await?;
    let on_page = ON_A_PAGE.saturating_as::<usize>();
    let next = (found.len() > on_page).then(|| at_page(&pairs, "after", &found[on_page - 1].email));
    found.truncate(on_page);
    let now = now(&mut conn).await?;
    let rows = found.into_iter().map(|account| Row::new(account, now)).collect();
    let frame = Frame::new(&session, "/accounts");
    Ok(page(&AccountsPage { frame, tab: "accounts", q: q.unwrap_or_default(), rows, next }))
}
