//! All tenants, by slug: how each stands, what the domains tell of it, and what its jobs do.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use az::SaturatingAs;
use uuid::Uuid;
use weirgate_identity::platform::Role;
use weirgate_queue::lanes::QueueView;
use weirgate_queue::{JobState, read};
use weirgate_web::dashboard::additions::{Additions, TenantsAsked};
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::sent::filled;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::words::count;
use weirgate_web::domain::Catalog;
use weirgate_web::params::Fields;

use crate::http::Api;
use crate::queues;

const ON_A_PAGE: i64 = 50;

/// What tenants can be picked by whatever the domains, and its words.
const SHOWN: [(&str, &str); 2] = [("paused", "paused"), ("inactive", "inactive")];

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
}

struct Row {
    slug: String,
    name: String,
    active: bool,
    held: Vec<String>,
    /// Those of the domains, made already.
    cells: String,
    jobs: Vec<Linked>,
}

#[derive(Template)]
#[template(path = "tenants.html")]
struct TenantsPage {
    frame: Frame,
    /// Whether the way to a new tenant is shown.
    may_create: bool,
    asked: Asked,
    /// What the domains say of their columns, and the heads of these.
    explanation: String,
    columns: String,
    rows: Vec<Row>,
    next: Option<String>,
}

/// Which tenants.
struct Asked {
    q: Option<String>,
    show: Option<&'static str>,
    after: String,
    /// What can be picked, and its words.
    picks: Vec<(&'static str, &'static str)>,
}

impl Asked {
    fn take(mut fields: Fields, catalog: &Catalog) -> Result<Self, weirgate_web::problem::Problem> {
        let of_domains = catalog.additions().iter().flat_map(|additions| additions.picks());
        let picks: Vec<_> = SHOWN.into_iter().chain(of_domains).collect();
        let (q, after) = (fields.get("q"), fields.get::<String>("after").unwrap_or_default());
        let show = fields.one("show").and_then(|given| {
            let show = picks.iter().map(|(name, _)| *name).find(|name| *name == given);
            if show.is_none() {
                let names = picks.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
                fields.fail("show", format!("expected one of {names}"));
            }
            show
        });
        fields.finish(Some(Self { q, show, after, picks }))
    }

    /// What can be picked, and whether it is.
    fn choices(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> + '_ {
        self.picks.iter().map(|(name, words)| (*name, *words, self.show == Some(*name)))
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
            (jobs > 0).then(|| Linked { text: format!("{} {words}", count(jobs)), link })
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
    let asked =
        Asked::take(fields, &api.catalog).map_err(|problem| Refusal::from(problem).for_session(&session))?;
    let mut found = find(&api, &asked).await?;
    let on_page = ON_A_PAGE.saturating_as::<usize>();
    let next = (found.len() > on_page).then(|| asked.query(&found[on_page - 1].slug));
    found.truncate(on_page);
    let rows = describe(&api, found).await?;
    let additions = api.catalog.additions();
    Ok(page(&TenantsPage {
        frame: Frame::new(&session, "/tenants"),
        may_create: session.user.role >= Role::Admin,
        asked,
        explanation: additions.iter().map(|it| it.explanation()).collect(),
        columns: additions.iter().map(|it| it.columns()).collect(),
        rows,
        next,
    }))
}

/// One more than a page holds, if there are more.
async fn find(api: &Api, asked: &Asked) -> Result<Vec<Found>, Refusal> {
    let mut conn = api.pool.acquire().await?;
    let (text, after, most) = (asked.q.as_deref(), asked.after.as_str(), ON_A_PAGE + 1);
    let told_elsewhere: Vec<Uuid> = match asked.show {
        None | Some("inactive") => Vec::new(),
        Some("paused") => read::paused_lanes(&mut conn).await?.into_iter().map(|it| it.tenant).collect(),
        Some(show) => {
            let names_it = |it: &&Arc<dyn Additions>| it.picks().iter().any(|(name, _)| *name == show);
            match api.catalog.additions().iter().find(names_it) {
                Some(of) => of.pick(&mut conn, TenantsAsked { show, text, after, most }).await?,
                None => Vec::new(),
            }
        }
    };
    let found = sqlx::query_file_as!(
        Found,
        "src/http/dashboard/tenants.sql",
        after,
        text,
        asked.show,
        &told_elsewhere,
        most
    );
    Ok(found.fetch_all(&mut *conn).await?)
}

async fn describe(api: &Api, found: Vec<Found>) -> Result<Vec<Row>, Refusal> {
    let ids: Vec<Uuid> = found.iter().map(|it| it.id).collect();
    let mut conn = api.pool.acquire().await?;
    let mut cells: HashMap<Uuid, String> = HashMap::new();
    for additions in api.catalog.additions() {
        for (id, more) in additions.cells(&mut conn, &ids).await? {
            *cells.entry(id).or_default() += &more;
        }
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
            cells: cells.remove(&id).unwrap_or_default(),
            jobs: sum.jobs(&slug),
            held: sum.held,
            active: is_active,
            slug,
            name,
        }
    };
    Ok(found.into_iter().map(row).collect())
}
