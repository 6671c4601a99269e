//! One queue: its jobs by state, its tenants with the most to do, its limits, its pause.

use std::cmp::Reverse;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use az::SaturatingAs;
use chrono::TimeDelta;
use weirgate_identity::platform::Role;
use weirgate_queue::JobState;
use weirgate_queue::lanes::change::QueueChange;
use weirgate_queue::lanes::{LaneLimits, QueueLimits};
use weirgate_queue::telemetry::histogram::Histogram;
use weirgate_queue::telemetry::rollup::{BucketSize, Tally, buckets};
use weirgate_web::dashboard::confirm::Confirm;
use weirgate_web::dashboard::form::{Given, Wrong};
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::{Path, Refusal};
use weirgate_web::dashboard::sent::Form;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::when::span;
use weirgate_web::dashboard::words::{count, of};
use weirgate_web::parse::Parse;

use super::lane::{LimitForm, take_limits};
use super::limit_words::{lane_limits, queue_limits};
use super::queues::QueueRow;
use crate::http::Api;
use crate::http::queue_facts::QueueFacts;
use crate::pauses::{Pausable, set_paused};
use crate::{limits, queues};

/// Tenants that are shown.
const BUSIEST: usize = 20;

/// How long runs waited and took, over the last hour.
struct Latency {
    of: &'static str,
    half: String,
    most: String,
    nearly_all: String,
}

async fn latencies(api: &Api, queue: &str) -> weirgate_queue::Result<Vec<Latency>> {
    let buckets = buckets(&mut *api.pool.acquire().await?, Some(queue), BucketSize::Minute, 60).await?;
    let latency = |of, histogram: fn(&Tally) -> &Histogram| {
        let mut sum = Histogram::default();
        for bucket in &buckets {
            sum.0.iter_mut().zip(histogram(&bucket.tally).0).for_each(|(sum, runs)| *sum += runs);
        }
        let quantile = |share| {
            sum.quantile(share)
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .and_then(|it| TimeDelta::from_std(it).ok())
                .map_or_else(|| "–".to_owned(), span)
        };
        Latency { of, half: quantile(0.5), most: quantile(0.95), nearly_all: quantile(0.99) }
    };
    Ok(vec![latency("Start latency", |tally| &tally.waits), latency("Run time", |tally| &tally.runs)])
}

struct Depth {
    state: &'static str,
    jobs: String,
}

struct Busy {
    slug: String,
    available: String,
    running: String,
}

#[derive(Template)]
#[template(path = "queue.html")]
struct QueuePage {
    frame: Frame,
    queue: QueueRow,
    latencies: Vec<Latency>,
    depths: Vec<Depth>,
    waiting_tenants: String,
    throttled_tenants: String,
    busiest: Vec<Busy>,
    of_lanes: String,
    /// Of all its lanes together.
    whole: LimitForm,
    /// Of each lane without its own.
    each: LimitForm,
    may_limit: bool,
}

async fn find(api: &Api, session: &Session, name: &str) -> Result<QueueFacts, Refusal> {
    if !queues::known(&mut *api.pool.acquire().await?, &api.catalog, None).await?.contains(name) {
        let title = format!("There is no queue {name}");
        return Err(Refusal::new(StatusCode::NOT_FOUND, title, "").for_session(session));
    }
    Ok(QueueFacts::of(api, name.to_owned()).await?)
}

fn path(name: &str) -> String {
    format!("/dashboard/queues/{name}")
}

pub(super) async fn show(
    State(api): State<Api>,
    session: Session,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let facts = find(&api, &session, &name).await?;
    Ok(page(&QueuePage::load(&api, &session, &facts).await?))
}

impl QueuePage {
    async fn load(api: &Api, session: &Session, facts: &QueueFacts) -> Result<Self, Refusal> {
        let depth = |state: JobState| Depth { state: state.as_str(), jobs: count(facts.count(state)) };
        let mut lanes = facts.lanes.clone();
        lanes.sort_unstable_by_key(|lane| (Reverse((lane.running, lane.available)), lane.tenant));
        let mut busiest = Vec::with_capacity(BUSIEST);
        for lane in lanes.into_iter().take(BUSIEST) {
            busiest.push(Busy {
                slug: api.web.slugs.of(lane.tenant).await?.to_string(),
                available: count(lane.available),
                running: count(lane.running),
            });
        }
        let QueueLimits { rate, max_running } = facts.settings.queue;
        let backlog = facts.lanes_with_backlog.saturating_as::<i64>();
        Ok(Self {
            frame: Frame::new(session, "/queues"),
            queue: QueueRow::new(facts),
            latencies: latencies(api, &facts.name).await?,
            depths: JobState::ALL.map(depth).into(),
            waiting_tenants: of(backlog, "tenant", "tenants"),
            throttled_tenants: count(facts.throttled_lanes.saturating_as::<i64>()),
            busiest,
            of_lanes: lane_limits(facts.settings.default),
            whole: LimitForm::new(LaneLimits { rate, max_running, weight: 1.0 }, false),
            each: LimitForm::new(facts.settings.default, true),
            may_limit: session.user.role >= Role::Admin,
        })
    }
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
    let (session, confirmed) = form.confirmed()?;
    let facts = find(&api, &session, &name).await?;
    if !confirmed {
        let frame = Frame::new(&session, "/queues");
        let happens = vec![pause_effect(&facts, paused)];
        return Ok(Confirm::pause(frame, paused, &format!("queue {name}"), &path(&name), happens).ask());
    }
    let mut tx = api.pool.begin().await?;
    set_paused(&mut tx, &session.actor(), Pausable::Queue(&name), paused).await?;
    tx.commit().await?;
    Ok(Redirect::to(&path(&name)).into_response())
}

fn pause_effect(facts: &QueueFacts, paused: bool) -> String {
    let available = facts.count(JobState::Available);
    let tenants = facts.lanes_with_backlog.saturating_as::<i64>();
    let tenants = of(tenants, "tenant", "tenants");
    let name = &facts.name;
    if paused {
        let stay = of(available, "available job stays", "available jobs stay");
        let go_on = of(facts.count(JobState::Running), "running job continues", "running jobs continue");
        format!(
            "{stay} in the queue ({tenants}); {go_on}. No new job of any tenant starts in queue {name} until it is resumed."
        )
    } else {
        let jobs = of(available, "available job", "available jobs");
        let workers = of(facts.workers.count, "live worker serves", "live workers serve");
        format!("{jobs} of {tenants} may start at once, within all limits; {workers} the queue.")
    }
}

/// Which limits of a queue.
#[derive(Clone, Copy)]
enum Whose {
    All,
    Each,
}

impl Parse for Whose {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "each" => Ok(Self::Each),
            _ => Err("expected all or each".to_owned()),
        }
    }
}

/// First says what will happen; once confirmed, does it.
pub(super) async fn limit(
    State(api): State<Api>,
    Path(name): Path<String>,
    form: Form,
) -> Result<Response, Refusal> {
    form.require(Role::Admin)?;
    let Form { session, mut fields } = form;
    let refuse = |refusal: Refusal| refusal.for_session(&session);
    let confirmed = fields.get::<bool>("confirmed").unwrap_or(false);
    let pairs = fields.pairs().to_vec();
    let whose = fields.required::<Whose>("of");
    let limits = take_limits(&mut fields);
    let facts = find(&api, &session, &name).await?;
    let (whose, limits) = match fields.finish(whose.zip(limits)) {
        Ok(taken) => taken,
        Err(problem) => {
            let wrong = Wrong::of(problem, "tenant_id").map_err(refuse)?;
            let mut shown = QueuePage::load(&api, &session, &facts).await.map_err(refuse)?;
            let given = Given::new(pairs, Some(&wrong));
            match whose {
                Some(Whose::All) => shown.whole = LimitForm::given(&given, false),
                _ => shown.each = LimitForm::given(&given, true),
            }
            return Ok(wrong.page(&shown));
        }
    };
    let together = QueueLimits { rate: limits.rate, max_running: limits.max_running };
    let (change, now, then, title) = match whose {
        Whose::All => (
            QueueChange { limits: Some(together), lane_limits: None },
            queue_limits(facts.settings.queue),
            queue_limits(together),
            format!("Set the queue limits of {name}"),
        ),
        Whose::Each => (
            QueueChange { limits: None, lane_limits: Some(limits) },
            lane_limits(facts.settings.default),
            lane_limits(limits),
            format!("Set the default limits per tenant of queue {name}"),
        ),
    };
    if !confirmed {
        let mut happens = vec![
            format!("Current limits: {now}."),
            format!("New limits, from the next claim on, on all hosts: {then}."),
        ];
        let running = facts.count(JobState::Running);
        if let (Whose::All, Some(most)) =
            (whose, together.max_running.filter(|most| running >= i64::from(*most)))
        {
            let (running, most) = (
                of(running, "job is running and continues", "jobs are running and continue"),
                count(i64::from(most)),
            );
            happens.push(format!("{running}; no new job starts until fewer than {most} are running."));
        }
        return Ok(Confirm {
            frame: Frame::new(&session, "/queues"),
            title,
            happens,
            details: Vec::new(),
            action: format!("{}/limits", path(&name)),
            fields: pairs,
            yes: "Set limits".to_owned(),
            back: path(&name),
        }
        .ask());
    }
    let mut tx = api.pool.begin().await?;
    limits::set_queue(&mut tx, &session.actor(), &name, change).await?;
    tx.commit().await?;
    Ok(Redirect::to(&path(&name)).into_response())
}
