//! One tenant's place in one queue: its limits and weight, its pause.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use weirgate_identity::platform::Role;
use weirgate_queue::JobState;
use weirgate_queue::lanes::{LaneLimits, LimitsInput, MAX_LIMIT, Rate};
use weirgate_web::dashboard::confirm::Confirm;
use weirgate_web::dashboard::form::{Field, Given, Wrong};
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::{Path, Refusal};
use weirgate_web::dashboard::sent::Form;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::when::span;
use weirgate_web::dashboard::words::{count, of};
use weirgate_web::params::Fields;

use super::limit_words::lane_limits;
use super::tenant::{LaneRow, Named, effect};
use crate::http::Api;
use crate::http::lane_facts::LaneFacts;
use crate::pauses::{Pausable, set_paused};
use crate::{limits, queues};

/// Limits as a form, with what was given and what is wrong with it.
#[derive(Template)]
#[template(path = "limit_fields.html")]
pub(super) struct LimitForm {
    fields: Vec<Field>,
    /// What is wrong beside them.
    others: Vec<String>,
}

impl LimitForm {
    /// The limits that there are; those of all lanes of a queue together have no weight.
    pub(super) fn new(LaneLimits { rate, max_running, weight }: LaneLimits, has_weight: bool) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "at most a year")]
        let seconds = |rate: Rate| rate.period_ms as f64 / 1000.0;
        let text = |number: Option<u32>| number.map(|it| it.to_string()).unwrap_or_default();
        let pairs = [
            ("rate", text(rate.map(|rate| rate.rate))),
            ("period_s", rate.map(|rate| seconds(rate).to_string()).unwrap_or_default()),
            ("burst", text(rate.map(|rate| rate.burst))),
            ("max_running", text(max_running)),
            ("weight", weight.to_string()),
        ];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value));
        Self::given(&Given::new(pairs.into(), None), has_weight)
    }

    pub(super) fn given(given: &Given, has_weight: bool) -> Self {
        let mut fields = vec![
            given.field("rate", "Rate").number("1", "1000000").with_placeholder("no limit"),
            given.field("period_s", "Per (s)").fraction("0.001", "31536000").with_placeholder("1"),
            given.field("burst", "Burst").number("1", "1000000").with_placeholder("1"),
            given.field("max_running", "Max running").number("1", "1000000").with_placeholder("no limit"),
        ];
        if has_weight {
            fields.push(given.field("weight", "Weight").fraction("0.001", "1000"));
        }
        Self { others: given.elsewhere(&fields.iter().collect::<Vec<_>>()), fields }
    }
}

#[derive(Template)]
#[template(path = "lane.html")]
struct LanePage {
    frame: Frame,
    slug: String,
    lane: LaneRow,
    limits: LimitForm,
    own: bool,
    may_limit: bool,
}

/// The lane that is named, with its facts.
async fn find(
    api: &Api,
    session: &Session,
    tenant: &str,
    queue: &str,
) -> Result<(Named, LaneFacts), Refusal> {
    let tenant = Named::find(api, session, tenant).await?;
    let known = queues::known(&mut *api.pool.acquire().await?, &api.catalog, Some(tenant.id)).await?;
    if !known.contains(queue) {
        let title = format!("There is no queue {queue}");
        return Err(Refusal::new(StatusCode::NOT_FOUND, title, "").for_session(session));
    }
    let lane = LaneFacts::of(api, queue.to_owned(), tenant.id).await?;
    Ok((tenant, lane))
}

fn path(tenant: &Named, queue: &str) -> String {
    format!("{}/lanes/{queue}", tenant.path())
}

pub(super) async fn show(
    State(api): State<Api>,
    session: Session,
    Path((tenant, queue)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let (tenant, lane) = find(&api, &session, &tenant, &queue).await?;
    let limits = LimitForm::new(lane.status.limits, true);
    Ok(page(&LanePage::new(&session, tenant, &lane, limits)))
}

impl LanePage {
    fn new(session: &Session, tenant: Named, lane: &LaneFacts, limits: LimitForm) -> Self {
        Self {
            frame: Frame::new(session, "/tenants"),
            slug: tenant.slug,
            limits,
            own: lane.status.own.is_some(),
            may_limit: session.user.role >= Role::Admin,
            lane: LaneRow::new(lane),
        }
    }
}

pub(super) async fn pause(
    state: State<Api>,
    path: Path<(String, String)>,
    form: Form,
) -> Result<Response, Refusal> {
    pause_or_resume(state, path, form, true).await
}

pub(super) async fn resume(
    state: State<Api>,
    path: Path<(String, String)>,
    form: Form,
) -> Result<Response, Refusal> {
    pause_or_resume(state, path, form, false).await
}

async fn pause_or_resume(
    State(api): State<Api>,
    Path((tenant, queue)): Path<(String, String)>,
    form: Form,
    paused: bool,
) -> Result<Response, Refusal> {
    form.require(Role::Operator)?;
    let (session, confirmed) = form.confirmed()?;
    let (tenant, lane) = find(&api, &session, &tenant, &queue).await?;
    let path = path(&tenant, &queue);
    if !confirmed {
        let frame = Frame::new(&session, "/tenants");
        let what = format!("{} in queue {queue}", tenant.slug);
        let happens = vec![effect(&tenant.slug, &lane, paused)];
        return Ok(Confirm::pause(frame, paused, &what, &path, happens).ask());
    }
    let mut tx = api.pool.begin().await?;
    let lane = Pausable::Lane { tenant: tenant.id, slug: &tenant.slug, queue: &queue };
    set_paused(&mut tx, &session.actor(), lane, paused).await?;
    tx.commit().await?;
    Ok(Redirect::to(&path).into_response())
}

/// What a form says of limits; everything that is wrong with it goes to `fields`.
pub(super) fn take_limits(fields: &mut Fields) -> Option<LaneLimits> {
    let given = LimitsInput {
        rate: fields.in_range("rate", 1..=MAX_LIMIT),
        period_s: fields.get("period_s"),
        burst: fields.in_range("burst", 1..=MAX_LIMIT),
        max_running: fields.in_range("max_running", 1..=MAX_LIMIT),
        weight: fields.get("weight"),
    };
    // A form has all fields; those of the rate mean nothing where it is left empty.
    let given = match given.rate {
        None => LimitsInput { period_s: None, burst: None, ..given },
        Some(_) => given,
    };
    let wrong = |it| fields.fail_all(it);
    given.lane().map_err(wrong).ok()
}

/// First says what will happen; once confirmed, does it.
pub(super) async fn limit(
    State(api): State<Api>,
    Path((tenant, queue)): Path<(String, String)>,
    form: Form,
) -> Result<Response, Refusal> {
    form.require(Role::Admin)?;
    let Form { session, mut fields } = form;
    let refuse = |refusal: Refusal| refusal.for_session(&session);
    let confirmed = fields.get::<bool>("confirmed").unwrap_or(false);
    let clear = fields.get::<bool>("clear").unwrap_or(false);
    let pairs = fields.pairs().to_vec();
    let limits = take_limits(&mut fields);
    let (tenant, lane) = find(&api, &session, &tenant, &queue).await?;
    let limits = match fields.finish(limits) {
        Ok(limits) => limits,
        Err(problem) => {
            let wrong = Wrong::of(problem, "tenant_id").map_err(refuse)?;
            let limits = LimitForm::given(&Given::new(pairs, Some(&wrong)), true);
            return Ok(wrong.page(&LanePage::new(&session, tenant, &lane, limits)));
        }
    };
    let own = (!clear).then_some(limits);
    let path = path(&tenant, &queue);
    if !confirmed {
        let mut fields = pairs;
        if clear {
            fields = vec![("clear".to_owned(), "true".to_owned())];
        }
        return Ok(Confirm {
            frame: Frame::new(&session, "/tenants"),
            title: format!("Set limits of {} in queue {queue}", tenant.slug),
            happens: limits_effect(&api, &lane, own).await?,
            details: Vec::new(),
            action: format!("{path}/limits"),
            fields,
            yes: "Set limits".to_owned(),
            back: path,
        }
        .ask());
    }
    let mut tx = api.pool.begin().await?;
    limits::set_lane(&mut tx, &session.actor(), (tenant.id, &tenant.slug), &queue, own).await?;
    tx.commit().await?;
    Ok(Redirect::to(&path).into_response())
}

async fn limits_effect(
    api: &Api,
    lane: &LaneFacts,
    own: Option<LaneLimits>,
) -> weirgate_queue::Result<Vec<String>> {
    let default = api.web.queue_views.read(&lane.queue, |view| view.settings().default).await?;
    let limits = own.unwrap_or(default);
    let which = if own.is_none() { " (the queue's default)" } else { "" };
    let mut happens = vec![
        format!("Current limits: {}.", lane_limits(lane.status.limits)),
        format!("New limits, from the next claim on, on all hosts: {}{which}.", lane_limits(limits)),
    ];
    let running = lane.count(JobState::Running);
    if let Some(most) = limits.max_running.filter(|most| running >= i64::from(*most)) {
        happens.push(format!(
            "{}. {}, and no new job starts until fewer than {} are running.",
            of(running, "job is running", "jobs are running"),
            if running == 1 { "It continues" } else { "They continue" },
            count(i64::from(most))
        ));
    }
    let waiting = lane.count(JobState::Available);
    if let Some(Rate { rate, period_ms, burst }) = limits.rate.filter(|_| waiting > 0) {
        #[expect(clippy::cast_possible_wrap, reason = "at most a year in milliseconds, and counts of jobs")]
        let ms = (waiting - i64::from(burst)).max(0).saturating_mul(period_ms as i64) / i64::from(rate);
        let needs = span(chrono::TimeDelta::milliseconds(ms));
        happens.push(format!(
            "At this rate, starting the {} takes at least {needs}.",
            of(waiting, "available job", "available jobs")
        ));
    }
    Ok(happens)
}
