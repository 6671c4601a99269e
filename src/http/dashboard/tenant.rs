//! One tenant: its lanes, what each may do and does; pause all of them, and let them go on; its
//! keys, and its changes.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use uuid::Uuid;
use weirgate_identity::platform::Role;
use weirgate_identity::tenants;
use weirgate_identity::{SYSTEM_SLUG, SYSTEM_TENANT, Tenant};
use weirgate_queue::JobState;
use weirgate_queue::lanes::Rate;
use weirgate_queue::lanes::traffic::WINDOW_S;
use weirgate_web::dashboard::confirm::Confirm;
use weirgate_web::dashboard::form::Given;
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::{Path, Refusal};
use weirgate_web::dashboard::sent::Form;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::when::{When, span};
use weirgate_web::dashboard::words::{count, of, percent};

use super::limit_words::{lane_limits, period, queue_limits};
use super::tenant_change::ChangeForm;
use super::tenant_keys::KeysPart;
use crate::http::Api;
use crate::http::lane_facts::LaneFacts;
use crate::pauses::{Pausable, set_paused};
use crate::queues;

/// There is no tenant of this name.
pub(super) fn none_of(name: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, format!("There is no tenant {name}"), "")
}

/// Whose lanes are meant.
pub(super) struct Named {
    pub(super) id: Uuid,
    pub(super) slug: String,
    name: String,
    active: bool,
    time_zone: String,
}

impl Named {
    /// By slug or UUID; the system has lanes, too.
    pub(super) async fn find(api: &Api, session: &Session, name: &str) -> Result<Self, Refusal> {
        if name == SYSTEM_SLUG {
            let (slug, name) = (SYSTEM_SLUG.to_owned(), "Jobs that belong to no single tenant".to_owned());
            return Ok(Self { id: SYSTEM_TENANT, slug, name, active: true, time_zone: "UTC".to_owned() });
        }
        let Some(tenant) = Tenant::find(&mut *api.pool.acquire().await?, name).await? else {
            return Err(none_of(name).for_session(session));
        };
        let Tenant { id, slug, name, is_active: active, time_zone } = tenant;
        Ok(Self { id, slug: slug.0, name, active, time_zone })
    }

    /// Every queue it has a lane in.
    pub(super) async fn lanes(&self, api: &Api) -> weirgate_queue::Result<Vec<LaneFacts>> {
        let queues = queues::known(&mut *api.pool.acquire().await?, &api.catalog, Some(self.id)).await?;
        let mut lanes = Vec::with_capacity(queues.len());
        for queue in queues {
            lanes.push(LaneFacts::of(api, queue, self.id).await?);
        }
        Ok(lanes)
    }

    pub(super) fn path(&self) -> String {
        format!("/dashboard/tenants/{}", self.slug)
    }
}

/// A lane in words.
pub(super) struct LaneRow {
    pub(super) queue: String,
    pub(super) paused: bool,
    pub(super) queue_paused: bool,
    pub(super) available: String,
    pub(super) running: String,
    pub(super) rate: String,
    pub(super) share: String,
    pub(super) throttled: Option<When>,
    pub(super) oldest: String,
    pub(super) limits: String,
    pub(super) of_queue: String,
    pub(super) from: &'static str,
}

impl LaneRow {
    pub(super) fn new(lane: &LaneFacts) -> Self {
        let status = &lane.status;
        let running = count(lane.count(JobState::Running));
        let share = lane.share_received().map_or_else(|| "–".to_owned(), percent);
        Self {
            queue: lane.queue.clone(),
            paused: status.paused,
            queue_paused: status.queue_paused,
            available: count(lane.count(JobState::Available)),
            running: match status.limits.max_running {
                Some(most) => format!("{running} of {}", count(i64::from(most))),
                None => running,
            },
            rate: rate(lane),
            share: match status.share_due {
                Some(due) => format!("{share} / {}", percent(due)),
                None => share,
            },
            throttled: status.throttled_until.map(|until| When::new(until, status.now)),
            oldest: lane.oldest.map_or_else(|| "–".to_owned(), |at| span(status.now - at)),
            limits: lane_limits(status.limits),
            of_queue: queue_limits(status.of_queue),
            from: match status.own {
                Some(_) => "set for this tenant",
                None => "queue default",
            },
        }
    }
}

/// What it starts of what it may.
fn rate(lane: &LaneFacts) -> String {
    #[expect(clippy::cast_precision_loss, reason = "starts of a minute, at most a year")]
    let used = |ms: u64| lane.starts.lane as f64 * ms as f64 / (f64::from(WINDOW_S) * 1000.0);
    match (lane.status.limits.rate, lane.status.rate_left) {
        (Some(rate @ Rate { rate: most, period_ms, .. }), Some(left)) => {
            // What was counted over a minute says nothing of an hour.
            let used = if period_ms <= 60_000 {
                format!("{:.1} of {} {}", used(period_ms), count(i64::from(most)), period(rate))
            } else {
                let most = count(i64::from(most));
                format!("{} in the last minute of {most} {}", count(lane.starts.lane), period(rate))
            };
            format!("{used}, {} left now", count(left))
        }
        _ => format!("{:.1} per second", used(1000)),
    }
}

#[derive(Template)]
#[template(path = "tenant.html")]
pub(super) struct TenantPage {
    frame: Frame,
    tenant: Named,
    lanes: Vec<LaneRow>,
    /// Whether there is a lane to pause, and one to resume.
    open: bool,
    paused: bool,
    /// What is said of language models; nothing of the system.
    models: &'static str,
    /// Its keys; the system has none.
    keys: Option<KeysPart>,
    /// Of a tenant, for those who may change it.
    change: Option<ChangeForm>,
}

/// Forms of the page as they were sent, each with what is wrong with it.
#[derive(Default)]
pub(super) struct Sent {
    pub(super) change: Option<Given>,
    pub(super) key: Option<Given>,
}

impl TenantPage {
    pub(super) async fn new(
        api: &Api,
        session: &Session,
        tenant: Named,
        sent: Sent,
    ) -> Result<Self, Refusal> {
        let frame = Frame::new(session, "/tenants");
        let lanes: Vec<LaneRow> = tenant.lanes(api).await?.iter().map(LaneRow::new).collect();
        let stored = tenants::get(&mut *api.pool.acquire().await?, &tenant.id.to_string()).await?;
        let keys = match &stored {
            Some(stored) => Some(KeysPart::new(api, session, stored, sent.key).await?),
            None => None,
        };
        let models = match &stored {
            Some(stored) if stored.llm_enabled => "Language models may work on its data.",
            Some(_) => "Language models may not work on its data.",
            None => "",
        };
        let may_change = session.user.role >= Role::Admin;
        let change = stored.filter(|_| may_change);
        Ok(Self {
            open: lanes.iter().any(|lane| !lane.paused),
            paused: lanes.iter().any(|lane| lane.paused),
            change: change.map(|stored| ChangeForm::new(&frame, &tenant.path(), &stored, sent.change)),
            frame,
            tenant,
            lanes,
            models,
            keys,
        })
    }
}

pub(super) async fn show(
    State(api): State<Api>,
    session: Session,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let tenant = Named::find(&api, &session, &name).await?;
    Ok(page(&TenantPage::new(&api, &session, tenant, Sent::default()).await?))
}

pub(super) async fn pause(state: State<Api>, name: Path<String>, form: Form) -> Result<Response, Refusal> {
    pause_or_resume(state, name, form, true).await
}

pub(super) async fn resume(state: State<Api>, name: Path<String>, form: Form) -> Result<Response, Refusal> {
    pause_or_resume(state, name, form, false).await
}

async fn pause_or_resume(
    State(api): State<Api>,
    Path(name): Path<String>,
    form: Form,
    paused: bool,
) -> Result<Response, Refusal> {
    form.require(Role::Operator)?;
    let tenant = Named::find(&api, &form.session, &name).await?;
    let (session, confirmed) = form.confirmed()?;
    let lanes = tenant.lanes(&api).await?;
    let concerned = || lanes.iter().filter(|lane| lane.status.paused != paused);
    if !confirmed {
        let frame = Frame::new(&session, "/tenants");
        return Ok(asked(frame, &tenant, &concerned().collect::<Vec<_>>(), paused).ask());
    }
    let mut tx = api.pool.begin().await?;
    let queues: Vec<&str> = lanes.iter().map(|lane| lane.queue.as_str()).collect();
    let all = Pausable::Tenant { id: tenant.id, slug: &tenant.slug, queues: &queues };
    set_paused(&mut tx, &session.actor(), all, paused).await?;
    tx.commit().await?;
    Ok(Redirect::to(&tenant.path()).into_response())
}

fn asked(frame: Frame, tenant: &Named, lanes: &[&LaneFacts], paused: bool) -> Confirm {
    let slug = &tenant.slug;
    let mut happens: Vec<String> = lanes.iter().map(|lane| effect(slug, lane, paused)).collect();
    if happens.is_empty() {
        let text = if paused { "paused in every queue already" } else { "not paused in any queue" };
        happens.push(format!("Nothing to do: {slug} is {text}."));
    }
    Confirm::pause(frame, paused, &format!("{slug} in all queues"), &tenant.path(), happens)
}

/// What a pause of one lane does, or its end.
pub(super) fn effect(slug: &str, lane: &LaneFacts, paused: bool) -> String {
    let queue = &lane.queue;
    let available = lane.count(JobState::Available);
    if !paused {
        let jobs = of(available, "available job", "available jobs");
        return if lane.status.queue_paused {
            format!(
                "Queue {queue}: {jobs} of {slug}. The whole queue is paused, so no job starts until the queue is resumed, too."
            )
        } else {
            let limits = lane_limits(lane.status.limits);
            format!("Queue {queue}: {jobs} of {slug} may start at once, within its limits ({limits}).")
        };
    }
    let later =
        lane.count(JobState::Scheduled) + lane.count(JobState::Retryable) + lane.count(JobState::Waiting);
    let later = match later {
        0 => String::new(),
        later => format!(", and so {} later", of(later, "job that becomes due", "jobs that become due")),
    };
    let stay = of(available, "available job stays", "available jobs stay");
    let go_on = of(lane.count(JobState::Running), "running job continues", "running jobs continue");
    format!(
        "Queue {queue}: {stay}{later}; {go_on}. No new job of {slug} starts in queue {queue} until it is resumed."
    )
}
