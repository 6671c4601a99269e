//! One account: what is known of it, what it may do and where it is signed in; roles and links to
//! choose a password are given out here.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::accounts::{self, Listed, ListedMembership};
use weirgate_identity::audit::{Change, Subject};
use weirgate_identity::platform::Role;
use weirgate_identity::roles::Roles;
use weirgate_identity::{admins, invitations, memberships};
use weirgate_web::context::RequestContext;
use weirgate_web::dashboard::form::{Field, Given, Wrong};
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::{Path, Refusal};
use weirgate_web::dashboard::sent::Form;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::suggest::Suggestions;
use weirgate_web::dashboard::when::When;

use super::account_acts::no_admin_left;
use super::account_new::{RoleAsked, role_fields};
use crate::http::Api;
use crate::http::people::{app_in_words, language, role_in_words};
use crate::http::sign_in_rows::{self, AppRow, SessionRow};
use crate::random;

/// A role that the account has.
struct RoleRow {
    app: String,
    app_words: String,
    role: String,
    text: String,
    tenant: Option<(Uuid, String)>,
}

impl RoleRow {
    fn new(it: &ListedMembership, known: &Roles) -> Self {
        Self {
            app: it.app.clone(),
            app_words: app_in_words(&it.app, known),
            role: it.role.clone(),
            text: role_in_words(&it.app, &it.role, known),
            tenant: it.tenant_id.zip(it.tenant.clone()),
        }
    }
}

#[derive(Template)]
#[template(path = "account_one.html")]
struct AccountPage {
    frame: Frame,
    tab: &'static str,
    account: Listed,
    language: String,
    created: When,
    used: Option<When>,
    disabled: Option<When>,
    invited: Option<When>,
    roles: Vec<RoleRow>,
    give: Vec<Field>,
    others: Vec<String>,
    suggestions: Suggestions,
    sessions: Vec<SessionRow>,
    apps: Vec<AppRow>,
    /// Whether it is that of who looks.
    is_own: bool,
}

/// The page that shows a link once.
#[derive(Template)]
#[template(path = "account_link.html")]
pub(super) struct LinkPage {
    frame: Frame,
    tab: &'static str,
    id: Uuid,
    email: String,
    link: String,
    hours: u64,
}

impl LinkPage {
    pub(super) fn new(
        api: &Api,
        context: &RequestContext,
        session: &Session,
        (id, email): (Uuid, String),
        token: &str,
    ) -> Self {
        // Who is invited may come from elsewhere than who invites.
        let base = api.web.base_url.public().unwrap_or(&context.base);
        Self {
            frame: Frame::new(session, "/accounts"),
            tab: "",
            id,
            email,
            link: format!("{base}/account/invitation?token={token}"),
            hours: invitations::LIFE.as_secs() / 3600,
        }
    }
}

/// The account of that id.
pub(super) async fn find(conn: &mut PgConnection, session: &Session, id: Uuid) -> Result<Listed, Refusal> {
    accounts::get(conn, id).await?.ok_or_else(|| {
        let detail = "The page Accounts lists all that there are.";
        Refusal::new(StatusCode::NOT_FOUND, "There is no such account", detail).for_session(session)
    })
}

impl AccountPage {
    async fn load(api: &Api, session: &Session, id: Uuid, given: &Given) -> Result<Self, Refusal> {
        let mut conn = api.pool.acquire().await?;
        let account = find(&mut conn, session, id).await?;
        let (known, now) = (api.catalog.roles(), sign_in_rows::now(&mut conn).await?);
        let give = Vec::from(role_fields(given, &known));
        Ok(Self {
            frame: Frame::new(session, "/accounts"),
            tab: "",
            language: language(&account.locale).to_owned(),
            created: When::new(account.created_at, now),
            used: account.last_used_at.map(|at| When::new(at, now)),
            disabled: account.disabled_at.map(|at| When::new(at, now)),
            invited: account.invited_until.map(|at| When::new(at, now)),
            roles: account.roles().map(|it| RoleRow::new(it, &known)).collect(),
            others: given.elsewhere(&give.iter().collect::<Vec<_>>()),
            give,
            suggestions: Suggestions::of_tenants(&mut conn).await?,
            sessions: sign_in_rows::sessions(&mut conn, id, None).await?,
            apps: sign_in_rows::apps(&mut conn, id, &known).await?,
            is_own: account.id == session.user.id,
            account,
        })
    }
}

pub(super) fn path(id: Uuid) -> String {
    format!("/dashboard/accounts/{id}")
}

pub(super) async fn show(
    State(api): State<Api>,
    session: Session,
    Path(id): Path<Uuid>,
) -> Result<Response, Refusal> {
    session.require(Role::Admin)?;
    Ok(page(&AccountPage::load(&api, &session, id, &Given::default()).await?))
}

/// Who reloads what a form has answered.
pub(super) async fn back(_: Session, Path(id): Path<Uuid>) -> Redirect {
    Redirect::to(&path(id))
}

pub(super) async fn give(
    State(api): State<Api>,
    Path(id): Path<Uuid>,
    form: Form,
) -> Result<Response, Refusal> {
    form.require(Role::Admin)?;
    let Form { session, mut fields } = form;
    let sent = fields.pairs().to_vec();
    let mut tx = api.pool.begin().await?;
    let account = find(&mut tx, &session, id).await?;
    let asked = RoleAsked::take(&mut tx, &mut fields, &api.catalog.roles()).await?;
    let asked = match fields.finish(asked) {
        Ok(asked) => asked,
        Err(problem) => {
            drop(tx);
            let wrong = Wrong::of(problem, "tenant").map_err(|refusal| refusal.for_session(&session))?;
            let given = Given::new(sent, Some(&wrong));
            return Ok(wrong.page(&AccountPage::load(&api, &session, id, &given).await?));
        }
    };
    let noted = Change::begin(&mut tx, Subject::Account(&account.email)).await?;
    if admins::ends_with(&asked.app, &asked.role) {
        admins::require_another(&mut tx, id).await.map_err(|error| no_admin_left(error, &session))?;
    }
    memberships::give(&mut tx, id, &asked.app, asked.tenant, &asked.role).await?;
    noted.note_with(&mut tx, &session.actor(), "account.grant", &["platform"], json!(null)).await?;
    tx.commit().await?;
    Ok(Redirect::to(&path(id)).into_response())
}

pub(super) async fn invite(
    State(api): State<Api>,
    Extension(context): Extension<RequestContext>,
    Path(id): Path<Uuid>,
    form: Form,
) -> Result<Response, Refusal> {
    form.require(Role::Admin)?;
    let Form { session, fields } = form;
    let refuse = |refusal: Refusal| refusal.for_session(&session);
    fields.finish(Some(())).map_err(|problem| refuse(problem.into()))?;
    let mut tx = api.pool.begin().await?;
    let account = find(&mut tx, &session, id).await?;
    if account.disabled_at.is_some() {
        let detail = "A link would not work while the account is disabled. Enable it first.";
        return Err(refuse(Refusal::new(StatusCode::CONFLICT, "The account is disabled", detail)));
    }
    let noted = Change::begin(&mut tx, Subject::Account(&account.email)).await?;
    let token = random::text();
    invitations::create(&mut tx, id, &token, session.actor().name()).await?;
    noted.note_with(&mut tx, &session.actor(), "account.invite", &["disabled"], json!(null)).await?;
    tx.commit().await?;
    Ok(page(&LinkPage::new(&api, &context, &session, (id, account.email), &token)))
}
