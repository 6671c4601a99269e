//! What is stored of a tenant, and its changes: its name, its time zone, language models; whether
//! it is active.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use sqlx::PgConnection;
use weirgate_identity::platform::Role;
use weirgate_identity::tenants::{self, Change, Stored};
use weirgate_queue::JobState;
use weirgate_web::dashboard::confirm::Confirm;
use weirgate_web::dashboard::form::{Field, Given, Wrong, ZONES};
use weirgate_web::dashboard::frame::Frame;
use weirgate_web::dashboard::refusal::{Path, Refusal};
use weirgate_web::dashboard::sent::Form;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::suggest::Suggestions;
use weirgate_web::dashboard::words::of;
use weirgate_web::params::Fields;
use weirgate_web::problem::Problem;

use super::tenant::{Named, Sent, TenantPage, none_of};
use super::tenant_keys::count_usable;
use crate::http::Api;

/// What the form is sent with, where nobody has sent it yet.
fn stored_pairs(stored: &Stored) -> Vec<(String, String)> {
    let Stored { name, time_zone, llm_enabled, .. } = stored;
    let mut pairs = vec![("name".to_owned(), name.clone()), ("time_zone".to_owned(), time_zone.clone())];
    if *llm_enabled {
        pairs.push(("llm_enabled".to_owned(), "true".to_owned()));
    }
    pairs
}

/// The part of the tenant's page with the form.
#[derive(Template)]
#[template(path = "tenant_change.html")]
pub(super) struct ChangeForm {
    csrf: String,
    path: String,
    is_active: bool,
    fields: [Field; 2],
    llm_enabled: bool,
    suggestions: Suggestions,
    others: Vec<String>,
    is_wrong: bool,
}

impl ChangeForm {
    /// As it is stored, or as it was `sent`.
    pub(super) fn new(frame: &Frame, path: &str, stored: &Stored, sent: Option<Given>) -> Self {
        let is_wrong = sent.is_some();
        let given = sent.unwrap_or_else(|| Given::new(stored_pairs(stored), None));
        let fields = [
            given.field("name", "Name").required().with_hint("For people."),
            given
                .field("time_zone", "Time zone")
                .required()
                .with_hint("Days that are computed already stay as they are.")
                .suggesting(ZONES),
        ];
        Self {
            csrf: frame.csrf.clone(),
            path: path.to_owned(),
            is_active: stored.is_active,
            llm_enabled: !given.of("llm_enabled").is_empty(),
            others: given.elsewhere(&fields.iter().collect::<Vec<_>>()),
            fields,
            suggestions: Suggestions::of_zones(),
            is_wrong,
        }
    }
}

/// The tenant as it is stored; the system is none.
pub(super) async fn stored(
    conn: &mut PgConnection,
    session: &Session,
    name: &str,
) -> Result<Stored, Refusal> {
    let found = tenants::get(conn, name).await?;
    found.ok_or_else(|| none_of(name).for_session(session))
}

pub(super) async fn change(
    State(api): State<Api>,
    Path(name): Path<String>,
    form: Form,
) -> Result<Response, Refusal> {
    form.require(Role::Admin)?;
    let Form { session, fields } = form;
    let before = stored(&mut *api.pool.acquire().await?, &session, &name).await?;
    let asked = fields.pairs().to_vec();
    let refuse = |refusal: Refusal| refusal.for_session(&session);
    match store(&api, &session, &before, fields).await {
        Ok(()) => Ok(Redirect::to(&format!("/dashboard/tenants/{}", before.slug)).into_response()),
        Err(problem) => {
            let wrong = Wrong::of(problem, "name").map_err(refuse)?;
            let tenant = Named::find(&api, &session, &name).await?;
            let sent = Sent { change: Some(Given::new(asked, Some(&wrong))), ..Sent::default() };
            Ok(wrong.page(&TenantPage::new(&api, &session, tenant, sent).await?))
        }
    }
}

async fn store(api: &Api, session: &Session, before: &Stored, mut fields: Fields) -> Result<(), Problem> {
    let name = fields.required::<String>("name");
    let time_zone = fields.required::<String>("time_zone");
    let llm_enabled = fields.get::<bool>("llm_enabled").unwrap_or(false);
    let (name, time_zone) = fields.finish(name.zip(time_zone))?;
    // The form has all of them. What is as it was is no change, nor told of as one.
    let change = Change {
        name: Some(name).filter(|name| *name != before.name),
        time_zone: Some(time_zone).filter(|zone| *zone != before.time_zone),
        llm_enabled: Some(llm_enabled).filter(|enabled| *enabled != before.llm_enabled),
        is_active: None,
    };
    set(api, session, before, &change).await
}

async fn set(api: &Api, session: &Session, before: &Stored, change: &Change) -> Result<(), Problem> {
    let mut tx = api.pool.begin().await?;
    tenants::change(&mut tx, &session.actor(), &before.id.to_string(), change).await?;
    tx.commit().await?;
    Ok(())
}

pub(super) async fn activate(state: State<Api>, name: Path<String>, form: Form) -> Result<Response, Refusal> {
    set_active(state, name, form, true).await
}

pub(super) async fn deactivate(
    state: State<Api>,
    name: Path<String>,
    form: Form,
) -> Result<Response, Refusal> {
    set_active(state, name, form, false).await
}

/// First says what will happen; once confirmed, does it.
async fn set_active(
    State(api): State<Api>,
    Path(name): Path<String>,
    form: Form,
    active: bool,
) -> Result<Response, Refusal> {
    form.require(Role::Admin)?;
    let before = stored(&mut *api.pool.acquire().await?, &form.session, &name).await?;
    let (session, confirmed) = form.confirmed()?;
    let path = format!("/dashboard/tenants/{}", before.slug);
    if confirmed {
        let change = Change { is_active: Some(active), ..Change::default() };
        let refuse = |problem| Refusal::from(problem).for_session(&session);
        set(&api, &session, &before, &change).await.map_err(refuse)?;
        return Ok(Redirect::to(&path).into_response());
    }
    let (verb, end) = if active { ("Activate", "activate") } else { ("Deactivate", "deactivate") };
    let title = format!("{verb} {}", before.slug);
    Ok(Confirm {
        happens: effect(&api, &session, &before, active).await?,
        frame: Frame::new(&session, "/tenants"),
        yes: title.clone(),
        title,
        details: Vec::new(),
        action: format!("{path}/{end}"),
        fields: Vec::new(),
        back: path,
    }
    .ask())
}

/// What it does that a tenant is active from now on, or is not.
async fn effect(api: &Api, session: &Session, tenant: &Stored, active: bool) -> Result<Vec<String>, Refusal> {
    let slug = &tenant.slug;
    if tenant.is_active == active {
        let is = if active { "active" } else { "inactive" };
        return Ok(vec![format!("Nothing to do: {slug} is {is} already.")]);
    }
    let keys = count_usable(&mut *api.pool.acquire().await?, tenant.id).await?;
    let keys_are = |what: &str| match keys {
        0 => None,
        1 => Some(format!("Its API key is {what}.")),
        _ => Some(format!("Its {keys} API keys are {what}.")),
    };
    let mut happens = Vec::new();
    if active {
        happens.push(format!(
            "Jobs are accepted for {slug} again, and schedules and backfills include it from their next run on."
        ));
        happens.extend(keys_are("accepted again"));
        happens.push("Scheduled runs that it missed are not made up.".to_owned());
        return Ok(happens);
    }
    let lanes = Named::find(api, session, slug).await?.lanes(api).await?;
    let jobs = |states: &[JobState]| -> i64 {
        lanes.iter().flat_map(|lane| states.iter().map(|state| lane.count(*state))).sum()
    };
    let later = [JobState::Available, JobState::Scheduled, JobState::Retryable, JobState::Waiting];
    happens.push(format!(
        "No more jobs are accepted for {slug}: requests that enqueue one are refused, and schedules and backfills pass it by."
    ));
    happens.push(format!(
        "Jobs that were accepted before run on: {} and {}.",
        of(jobs(&[JobState::Running]), "running job", "running jobs"),
        of(jobs(&later), "job that has not started", "jobs that have not started")
    ));
    happens.extend(keys_are("refused until it is active again"));
    happens.push("Nothing is deleted. Activating the tenant takes all of this back.".to_owned());
    Ok(happens)
}
