//! A new account: somebody is invited to choose a password, and has a role from the start.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::accounts::{self, New};
use weirgate_identity::audit::{Change, Subject};
use weirgate_identity::platform::Role;
use weirgate_identity::roles::Roles;
use weirgate_identity::{Tenant, invitations, memberships};
use weirgate_web::context::RequestContext;
use weirgate_web::dashboard::form::{Field, Given, TENANTS, Wrong};
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::sent::Form;
use weirgate_web::dashboard::session::Session;
use weirgate_web::dashboard::suggest::Suggestions;
use weirgate_web::params::Fields;
use weirgate_web::problem::Problem;

use super::account::LinkPage;
use crate::http::Api;
use crate::http::people::{app_in_words, languages, problem_of_account};
use crate::random;

/// A role, and what it is about.
pub(super) struct RoleAsked {
    pub(super) app: String,
    pub(super) role: String,
    pub(super) tenant: Option<Uuid>,
}

impl RoleAsked {
    /// What the fields of a form ask for; what is wrong stays in `fields`.
    pub(super) async fn take(
        conn: &mut PgConnection,
        fields: &mut Fields,
        known: &Roles,
    ) -> sqlx::Result<Option<Self>> {
        let (role, tenant) = (fields.required::<String>("role"), fields.one("tenant"));
        let Some(role) = role else { return Ok(None) };
        let Some((app, role)) = role.split_once(' ') else {
            fields.fail("role", "expected an app and a role of it, such as platform viewer");
            return Ok(None);
        };
        let mut id = None;
        if let Some(name) = tenant {
            let Some(tenant) = Tenant::find(conn, name.trim()).await? else {
                fields.fail("tenant", format!("there is no tenant {name:?}; the page Tenants lists all"));
                return Ok(None);
            };
            id = Some(tenant.id);
        }
        if let Err(error) = memberships::check(known, app, role, id) {
            fields.fail(error.field().unwrap_or("role"), error);
            return Ok(None);
        }
        Ok(Some(Self { app: app.to_owned(), role: role.to_owned(), tenant: id }))
    }
}

/// The fields that a role is asked for with.
pub(super) fn role_fields(given: &Given, known: &Roles) -> [Field; 2] {
    let all = known.apps().iter().flat_map(|app| {
        let words = app_in_words(app.app, known);
        app.roles.iter().map(move |role| {
            let of = if role.of_tenant { " (of one tenant)" } else { "" };
            (format!("{} {}", app.app, role.name), format!("{words}: {}{of}", role.name))
        })
    });
    [
        given.field("role", "Role").choice(all.collect()),
        given.field("tenant", "Tenant, for roles of one tenant").suggesting(TENANTS),
    ]
}

#[derive(Template)]
#[template(path = "account_new.html")]
struct NewPage {
    frame: Frame,
    tab: &'static str,
    fields: Vec<Field>,
    others: Vec<String>,
    is_wrong: bool,
    suggestions: Suggestions,
    roles: Roles,
}

impl NewPage {
    async fn new(api: &Api, session: &Session, given: &Given, is_wrong: bool) -> Result<Self, Problem> {
        let roles = api.catalog.roles();
        let mut fields = vec![
            given.field("email", "Email").email().required(),
            given.field("full_name", "Name").filled_in("off"),
            given.field("locale", "Language").choice(languages(given.of("locale"))),
        ];
        fields.extend(role_fields(given, &roles));
        Ok(Self {
            frame: Frame::new(session, "/accounts"),
            tab: "new",
            others: given.elsewhere(&fields.iter().collect::<Vec<_>>()),
            fields,
            is_wrong,
            suggestions: Suggestions::of_tenants(&mut *api.pool.acquire().await?).await?,
            roles,
        })
    }
}

pub(super) async fn show(State(api): State<Api>, session: Session) -> Result<Response, Refusal> {
    session.require(Role::Admin)?;
    let refuse = |problem: Problem| Refusal::from(problem).for_session(&session);
    Ok(page(&NewPage::new(&api, &session, &Given::default(), false).await.map_err(refuse)?))
}

pub(super) async fn create(
    State(api): State<Api>,
    Extension(context): Extension<RequestContext>,
    form: Form,
) -> Result<Response, Refusal> {
    form.require(Role::Admin)?;
    let Form { session, fields } = form;
    let sent = fields.pairs().to_vec();
    match invite(&api, &session, fields).await? {
        Ok((id, email, token)) => Ok(page(&LinkPage::new(&api, &context, &session, (id, email), &token))),
        Err(problem) => {
            let wrong = Wrong::of(problem, "tenant").map_err(|refusal| refusal.for_session(&session))?;
            let given = Given::new(sent, Some(&wrong));
            Ok(wrong.page(&NewPage::new(&api, &session, &given, true).await?))
        }
    }
}

/// Makes the account, or says what is wrong with what was asked for.
async fn invite(
    api: &Api,
    session: &Session,
    mut fields: Fields,
) -> Result<Result<(Uuid, String, String), Problem>, Refusal> {
    let mut tx = api.pool.begin().await?;
    let asked = RoleAsked::take(&mut tx, &mut fields, &api.catalog.roles()).await?;
    let email = fields.required::<String>("email");
    let [full_name, locale] = ["full_name", "locale"].map(|name| fields.one(name).unwrap_or_default());
    let (asked, email) = match fields.finish(asked.zip(email)) {
        Ok(asked) => asked,
        Err(problem) => return Ok(Err(problem)),
    };
    let email = email.trim();
    let noted = Change::begin(&mut tx, Subject::Account(email)).await?;
    let new = New { email, full_name: &full_name, locale: &locale, password: None };
    let account = match accounts::create(&mut tx, new).await {
        Ok(account) => account,
        Err(error) => return problem_of_account(error).map(Err),
    };
    memberships::give(&mut tx, account.id, &asked.app, asked.tenant, &asked.role).await?;
    let token = random::text();
    invitations::create(&mut tx, account.id, &token, session.actor().name()).await?;
    noted.note_with(&mut tx, &session.actor(), "account.create", &[], json!(null)).await?;
    tx.commit().await?;
    Ok(Ok((account.id, account.email, token)))
}
