//! All tenants, by slug: how each stands, its last complete day, what is out of the ordinary, and what its jobs do.

use std::collections::{BTreeMap, HashMap};

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use az::SaturatingAs;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::lanes::QueueView;
use weirgate_queue::{JobState, read};
use weirgate_web::params::Fields;

use super::last_days::{LastDay, LastDays, Unusual};
use super::missing_days::Missing;
use super::notice::LATELY;
use super::sent::filled;
use super::session::Session;
use super::sources::{Source, Trouble};
use super::view::{Frame, Refusal, page};
use super::words::count;
use crate::http::Api;
use crate::queues;

const ON_A_PAGE: i64 = 50;

/// What tenants can be picked by, and its words.
const SHOWN: [(&str, &str); 7] = [
    ("paused", "paused"),
    ("inactive", "inactive"),
    (Trouble::Failing.as_str(), "with an unreadable source"),
    (Trouble::Empty.as_str(), "with a source that became empty"),
    (Trouble::Rejecting.as_str(), "with over 10 % of rows rejected"),
    ("unusual", "with an unusual day"),
    ("missing", "with days without KPIs"),
];

/// What jobs of a tenant do, for its cell.
const JOBS: [(&str, &[JobState]); 6] = [
    ("available", &[JobState::Available]),
    ("running", &[JobState::Running]),
    ("scheduled", &[JobState::Scheduled]),
    ("waiting", &[JobState::Waiting]),
    ("retryable", &[JobState::Retryable]),
    ("discarded", &[JobState::Discarded]),
];

/// A tenant as found.
struct Found {
    id: Uuid,
    slug: String,
    name: String,
    is_active: bool,
}

/// A link, as in a cell.
struct Linked {
    text: String,
    link: String,
    /// More of it.
    title: String,
}

struct Row {
    slug: String,
    name: String,
    active: bool,
    held: Vec<String>,
    last: Option<LastDay>,
    missing: Option<Linked>,
    unusual: Vec<Unusual>,
    sources: Vec<Linked>,
    jobs: Vec<Linked>,
}

#[derive(Template)]
#[template(path = "tenants.html")]
struct TenantsPage {
    frame: Frame,
    asked: Asked,
    rows: Vec<Row>,
    next: Option<String>,
}

/// Which tenants.
struct Asked {
    q: Option<String>,
    show: Option<&'static str>,
    after: String,
}

impl Asked {
    fn take(mut fields: Fields) -> Result<Self, weirgate_web::problem::Problem> {
        let (q, after) = (fields.get("q"), fields.get::<String>("after").unwrap_or_default());
        let show = fields.one("show").and_then(|given| {
            let show = SHOWN.into_iter().map(|(name, _)| name).find(|name| *name == given);
            if show.is_none() {
                let names = SHOWN.map(|(name, _)| name).join(", ");
                fields.fail("show", format!("expected one of {names}"));
            }
            show
        });
        fields.finish(Some(Self { q, show, after }))
    }

    /// What can be picked, and whether it is.
    fn choices(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> + '_ {
        SHOWN.into_iter().map(|(name, words)| (name, words, self.show == Some(name)))
    }

    /// The page after this slug.
    fn query(&self, after: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.q.iter().map(|q| ("q", q.as_str())));
        query.extend_pairs(self.show.iter().map(|show| ("show", *show)));
        query.append_pair("after", after).finish()
    }
}

/// What a tenant has in all queues together.
#[derive(Default)]
struct Sum {
    counts: HashMap<JobState, i64>,
    held: Vec<String>,
}

impl Sum {
    fn add(&mut self, view: &QueueView, tenant: Uuid) {
        let facts = view.lane_activity(tenant);
        for (state, count) in facts.counts {
            *self.counts.entry(state).or_default() += count;
        }
        if view.settings().lane_paused(tenant) {
            self.held.push(format!("paused in {}", view.queue()));
        } else if facts.throttled_lanes > 0 {
            self.held.push(format!("throttled in {}", view.queue()));
        }
    }

    /// Those of which there are some, each with the jobs themselves.
    fn jobs(&self, slug: &str) -> Vec<Linked> {
        let linked = |(words, states): (&str, &[JobState])| {
            let jobs = states.iter().filter_map(|state| self.counts.get(state)).sum();
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("tenant_id", slug);
            query.extend_pairs(states.iter().map(|state| ("state", state.as_str())));
            let link = format!("/dashboard/jobs?{}", query.finish());
            (jobs > 0).then(|| Linked {
                text: format!("{} {words}", count(jobs)),
                link,
                title: String::new(),
            })
        };
        JOBS.into_iter().filter_map(linked).collect()
    }
}

pub(super) async fn list(
    State(api): State<Api>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let fields = Fields::of_pairs(filled(query.unwrap_or_default().as_bytes()));
    let asked = Asked::take(fields).map_err(|problem| Refusal::from(problem).for_session(&session))?;
    let mut found = find(&mut *api.pool.acquire().await?, &asked).await?;
    let on_page = ON_A_PAGE.saturating_as::<usize>();
    let next = (found.len() > on_page).then(|| asked.query(&found[on_page - 1].slug));
    found.truncate(on_page);
    let rows = describe(&api, found).await?;
    Ok(page(&TenantsPage { frame: Frame::new(&session, "/tenants"), asked, rows, next }))
}

/// One more than a page holds, if there are more.
async fn find(conn: &mut PgConnection, asked: &Asked) -> sqlx::Result<Vec<Found>> {
    let (q, after) = (asked.q.as_deref(), asked.after.as_str());
    let told_elsewhere: Vec<Uuid> = match asked.show {
        Some("paused") => read::paused_lanes(conn).await?.into_iter().map(|it| it.tenant).collect(),
        Some("missing") => {
            let missing = Missing::page(conn, q, after, ON_A_PAGE + 1).await?;
            missing.into_iter().map(|it| it.id).collect()
        }
        _ => Vec::new(),
    };
    sqlx::query_file_as!(
        Found,
        "src/http/dashboard/tenants.sql",
        after,
        q,
        asked.show,
        &told_elsewhere,
        LATELY,
        ON_A_PAGE + 1
    )
    .fetch_all(conn)
    .await
}

async fn describe(api: &Api, found: Vec<Found>) -> weirgate_queue::Result<Vec<Row>> {
    let ids: Vec<Uuid> = found.iter().map(|it| it.id).collect();
    let mut conn = api.pool.acquire().await?;
    let mut days = LastDays::of(&mut conn, &ids).await?;
    let mut missing: HashMap<Uuid, Linked> = HashMap::new();
    for it in Missing::of(&mut conn, &ids).await? {
        missing.insert(it.id, Linked { text: it.brief(), link: it.link(), title: String::new() });
    }
    let mut sources: HashMap<Uuid, Vec<Linked>> = HashMap::new();
    for it in Source::of(&mut conn, &ids).await? {
        let linked = Linked { text: it.brief(), link: it.link(), title: it.message().to_owned() };
        sources.entry(it.tenant).or_default().push(linked);
    }
    let queues = queues::known(&mut conn, &api.catalog, None).await?;
    drop(conn);
    let mut sums: BTreeMap<Uuid, Sum> = BTreeMap::new();
    for queue in queues {
        api.web
            .queue_views
            .read(&queue, |view| {
                for id in &ids {
                    sums.entry(*id).or_default().add(view, *id);
                }
            })
            .await?;
    }
    let row = |Found { id, slug, name, is_active }| {
        let sum = sums.remove(&id).unwrap_or_default();
        Row {
            last: days.last.remove(&id),
            missing: missing.remove(&id),
            unusual: days.unusual.remove(&id).unwrap_or_default(),
            sources: sources.remove(&id).unwrap_or_default(),
            jobs: sum.jobs(&slug),
            held: sum.held,
            active: is_active,
            slug,
            name,
        }
    };
    Ok(found.into_iter().map(row).collect())
}
