//! Who did what, when, to what, from where, and how that was before.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use weirgate_identity::audit::{self, Filter, Listed, Via};
use weirgate_web::dashboard::form::{FilterForm, Given, TENANTS, Wrong, at_page, sent_time};
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::sent::filled;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::suggest::Suggestions;
use weirgate_web::job_list::tenant_of_filter;
use weirgate_web::params::Fields;
use weirgate_web::problem::Problem;

use super::audit_entry::Entry;
use crate::http::Api;
use crate::http::internal::audit::take_filter;

const ON_A_PAGE: i64 = 100;

/// Groups of actions, to choose from.
const GROUPS: [&str; 19] = [
    "sign_in",
    "sign_out",
    "job",
    "jobs",
    "queue",
    "lane",
    "tenant",
    "workflow",
    "backfill",
    "schedule",
    "worker",
    "account",
    "client",
    "refresh_token",
    "code",
    "key",
    "signing_key",
    "secrets",
    "schema",
];

fn form(given: &Given) -> FilterForm {
    let mut ways = vec![("", "any")];
    ways.extend(Via::ALL.map(|via| (via.as_str(), via.as_str())));
    given.filter(vec![
        given.field("action", "Action").suggesting("actions").with_placeholder("queue.pause"),
        given.field("actor", "Actor").suggesting("actors").with_placeholder("ada@example.com"),
        given.field("target", "Target").with_placeholder("kpi"),
        given.field("tenant_id", "Tenant").suggesting(TENANTS),
        given.field("via", "Via").choice(ways),
        given.field("from", "From (UTC)").time(),
        given.field("to", "Before (UTC)").time(),
    ])
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    form: FilterForm,
    suggestions: Suggestions,
    is_filtered: bool,
    actors: Vec<String>,
    groups: &'static [&'static str],
    entries: Vec<Entry>,
    next: Option<String>,
}

pub(super) async fn show(
    State(api): State<Api>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let refuse = |refusal: Refusal| refusal.for_session(&session);
    let pairs = filled(query.unwrap_or_default().as_bytes()).into_iter();
    let pairs = pairs.map(|(name, value)| match name.as_str() {
        "from" | "to" => (name, sent_time(value)),
        _ => (name, value),
    });
    let pairs: Vec<(String, String)> = pairs.collect();
    let wanted = wanted(&api, pairs.clone()).await;
    let mut conn = api.pool.acquire().await?;
    let mut shown = AuditPage {
        frame: Frame::new(&session, "/audit"),
        form: form(&Given::new(pairs.clone(), None)),
        suggestions: Suggestions::of_tenants(&mut conn).await.map_err(|problem| refuse(problem.into()))?,
        is_filtered: pairs.iter().any(|(name, _)| name != "before"),
        actors: audit::actors(&mut conn).await?,
        groups: &GROUPS,
        entries: Vec::new(),
        next: None,
    };
    match wanted {
        Ok((filter, before)) => {
            let Listed { entries, next } = audit::list(&mut conn, &filter, before, ON_A_PAGE).await?;
            shown.entries = entries.into_iter().map(Entry::from).collect();
            shown.next = next.map(|id| at_page(&pairs, "before", &id.to_string()));
            Ok(page(&shown))
        }
        Err(problem) => {
            let wrong = Wrong::of(problem, "tenant_id").map_err(refuse)?;
            shown.form = form(&Given::new(pairs, Some(&wrong)));
            Ok(wrong.page(&shown))
        }
    }
}

async fn wanted(api: &Api, pairs: Vec<(String, String)>) -> Result<(Filter, Option<i64>), Problem> {
    let mut fields = Fields::of_pairs(pairs);
    let before = fields.in_range("before", 1..=i64::MAX);
    let (mut filter, tenant) = take_filter(&mut fields);
    fields.finish(Some(()))?;
    if let Some(name) = &tenant {
        filter.tenant = Some(tenant_of_filter(&api.web, name).await?);
    }
    Ok((filter, before))
}
