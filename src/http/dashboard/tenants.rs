//! The tenants, by slug: what each has waiting and running over all queues, and what holds it back.

use std::collections::{BTreeMap, HashMap};

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_queue::lanes::Book;

use super::session::{Session, filled};
use super::view::{Frame, Refusal, page};
use super::words::count;
use crate::http::Api;
use crate::http::params::Fields;
use crate::queues;

const ON_A_PAGE: i64 = 50;

struct Row {
    slug: String,
    name: String,
    active: bool,
    available: String,
    running: String,
    later: String,
    retryable: String,
    discarded: String,
    held: Vec<String>,
}

#[derive(Template)]
#[template(path = "tenants.html")]
struct TenantsPage {
    frame: Frame,
    q: String,
    rows: Vec<Row>,
    next: Option<String>,
}

/// What a tenant has in all queues together.
#[derive(Default)]
struct Sum {
    counts: HashMap<JobState, i64>,
    held: Vec<String>,
}

impl Sum {
    fn add(&mut self, book: &Book, tenant: Uuid) {
        let facts = book.lane_facts(tenant);
        for (state, count) in facts.counts {
            *self.counts.entry(state).or_default() += count;
        }
        if book.settings().lane_paused(tenant) {
            self.held.push(format!("paused in {}", book.queue()));
        } else if facts.throttled_lanes > 0 {
            self.held.push(format!("throttled in {}", book.queue()));
        }
    }

    fn of(&self, states: &[JobState]) -> String {
        count(states.iter().filter_map(|state| self.counts.get(state)).sum())
    }
}

pub(super) async fn list(
    State(api): State<Api>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let mut fields = Fields::of_pairs(filled(query.unwrap_or_default().as_bytes()));
    let (q, after): (Option<String>, Option<String>) = (fields.get("q"), fields.get("after"));
    fields.finish(Some(())).map_err(|problem| Refusal::from(problem).for_session(&session))?;
    let mut conn = api.pool.acquire().await?;
    let rows = sqlx::query!(
        "select id, slug, name, is_active from tenants
         where slug > $1 and ($2::text is null or position(lower($2) in lower(slug)) > 0 or position(lower($2) in lower(name)) > 0)
         order by slug limit $3",
        after.unwrap_or_default(),
        q,
        ON_A_PAGE + 1
    )
    .fetch_all(&mut *conn)
    .await?;
    let queues = queues::known(&mut conn, None).await?;
    drop(conn);
    let on_page = usize::try_from(ON_A_PAGE).unwrap_or(usize::MAX);
    let mut sums: BTreeMap<Uuid, Sum> = BTreeMap::new();
    for queue in queues {
        api.books
            .read(&queue, |book| {
                for row in rows.iter().take(on_page) {
                    sums.entry(row.id).or_default().add(book, row.id);
                }
            })
            .await?;
    }
    let next = (rows.len() > on_page).then(|| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(q.iter().map(|q| ("q", q)));
        query.append_pair("after", &rows[on_page - 1].slug).finish()
    });
    let rows = rows.into_iter().take(on_page).map(|row| {
        let sum = sums.remove(&row.id).unwrap_or_default();
        Row {
            slug: row.slug,
            name: row.name,
            active: row.is_active,
            available: sum.of(&[JobState::Available]),
            running: sum.of(&[JobState::Running]),
            later: sum.of(&[JobState::Scheduled, JobState::Waiting]),
            retryable: sum.of(&[JobState::Retryable]),
            discarded: sum.of(&[JobState::Discarded]),
            held: sum.held,
        }
    });
    let rows = rows.collect();
    Ok(page(&TenantsPage { frame: Frame::new(&session, "/tenants"), q: q.unwrap_or_default(), rows, next }))
}
