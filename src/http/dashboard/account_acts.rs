//! What an admin ends of an account: each says first what will happen, and is done once that is
//! confirmed.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::accounts::{self, AccountsError, Listed, ListedMembership};
use weirgate_identity::admins::{self, AdminsError};
use weirgate_identity::audit::{Change, Subject};
use weirgate_identity::platform::{self, Role};
use weirgate_identity::{grants, invitations, memberships, sessions};
use weirgate_web::dashboard::confirm::Confirm;
use weirgate_web::dashboard::frame::Frame;
use weirgate_web::dashboard::refusal::{Path, Refusal};
use weirgate_web::dashboard::sent::Form;
use weirgate_web::dashboard::session::Session;

use super::account::{find, path};
use crate::http::Api;
use crate::http::people::problem_of_account;

enum Act {
    Withdraw { app: String, tenant: Option<Uuid> },
    WithdrawInvitation,
    EndSession(Uuid),
    EndGrant(Uuid),
    SignOut,
    Disable,
    Enable,
}

impl Act {
    /// What the audit calls it.
    fn action(&self) -> &'static str {
        match self {
            Self::Withdraw { .. } => "account.withdraw",
            Self::WithdrawInvitation => "account.uninvite",
            Self::EndSession(_) => "account.session_end",
            Self::EndGrant(_) => "account.grant_end",
            Self::SignOut => "account.sign_out",
            Self::Disable => "account.disable",
            Self::Enable => "account.enable",
        }
    }

    /// What the audit has of it beside the account.
    fn more(&self) -> Value {
        match self {
            Self::EndSession(id) => json!({ "session": id }),
            Self::EndGrant(id) => json!({ "grant": id }),
            _ => Value::Null,
        }
    }

    /// Whether an admin may be none afterwards.
    fn may_end_an_admin(&self) -> bool {
        match self {
            Self::Withdraw { app, .. } => app == platform::APP,
            Self::Disable => true,
            _ => false,
        }
    }

    /// Below the account's page.
    fn place(&self) -> String {
        match self {
            Self::Withdraw { .. } => "roles/withdraw".to_owned(),
            Self::WithdrawInvitation => "invitation/withdraw".to_owned(),
            Self::EndSession(id) => format!("sessions/{id}/end"),
            Self::EndGrant(id) => format!("grants/{id}/end"),
            Self::SignOut => "sign-out".to_owned(),
            Self::Disable => "disable".to_owned(),
            Self::Enable => "enable".to_owned(),
        }
    }

    /// What is asked first, as a title, a sentence and what the button says.
    fn words(&self, account: &Listed) -> (String, String, &'static str) {
        let email = &account.email;
        match self {
            Self::Withdraw { app, tenant } => {
                let role = account.roles().find(|it| it.app == *app && it.tenant_id == *tenant);
                let role = role.map_or_else(|| "this role".to_owned(), ListedMembership::words);
                let happens = if app == platform::APP {
                    format!("{email} no longer sees the dashboard, and is signed out of it at once.")
                } else {
                    format!(
                        "{email} is no longer {role}; tokens with that role are refused within 5 seconds."
                    )
                };
                (format!("Withdraw {role} from {email}"), happens, "Withdraw role")
            }
            Self::WithdrawInvitation => (
                format!("Withdraw the link of {email}"),
                "The link to choose a password does not work any more. Another one can be made.".to_owned(),
                "Withdraw link",
            ),
            Self::EndSession(_) => (
                format!("Sign {email} out of one browser"),
                "That browser has to sign in again. Others and apps stay signed in.".to_owned(),
                "End session",
            ),
            Self::EndGrant(_) => (
                format!("Sign {email} out of one app"),
                "The app's tokens are refused within 5 seconds, and it has to sign in again.".to_owned(),
                "End sign-in",
            ),
            Self::SignOut => (
                format!("Sign {email} out everywhere"),
                "Every browser and every app has to sign in again. The password stays as it is.".to_owned(),
                "Sign out everywhere",
            ),
            Self::Disable => (
                format!("Disable {email}"),
                "It is signed out everywhere and cannot sign in until it is enabled. Its roles stay."
                    .to_owned(),
                "Disable account",
            ),
            Self::Enable => (
                format!("Enable {email}"),
                "It can sign in again, with the password that it had.".to_owned(),
                "Enable account",
            ),
        }
    }

    /// Whether there was anything to do.
    async fn apply(&self, tx: &mut PgConnection, account: &Listed) -> Result<bool, AccountsError> {
        let Listed { id, email, .. } = account;
        match self {
            Self::Withdraw { app, tenant } => Ok(memberships::withdraw(tx, *id, app, *tenant).await?),
            Self::WithdrawInvitation => Ok(invitations::withdraw(tx, *id).await?),
            Self::EndSession(session) => Ok(sessions::end_one(tx, *id, *session).await?),
            Self::EndGrant(grant) => Ok(grants::revoke_of(tx, *id, *grant, "ended by an admin").await?),
            Self::SignOut => accounts::sign_out_everywhere(tx, email).await.map(|()| true),
            Self::Disable => accounts::disable(tx, email).await.map(|()| true),
            Self::Enable => accounts::enable(tx, email).await.map(|()| true),
        }
    }
}

/// Says why the last admin stays.
pub(super) fn no_admin_left(error: AdminsError, session: &Session) -> Refusal {
    match error {
        AdminsError::Last(_) => {
            Refusal::new(StatusCode::CONFLICT, "The last admin stays", format!("{error}."))
                .for_session(session)
        }
        AdminsError::Database(error) => error.into(),
    }
}

pub(super) async fn withdraw(state: State<Api>, id: Path<Uuid>, form: Form) -> Result<Response, Refusal> {
    form.require(Role::Admin)?;
    let Form { session, mut fields } = form;
    let (app, tenant) = (fields.required::<String>("app"), fields.get::<Uuid>("tenant"));
    let confirmed = fields.get::<bool>("confirmed").unwrap_or(false);
    let app = fields.finish(app).map_err(|problem| Refusal::from(problem).for_session(&session))?;
    ask_or_do(&state.0, id.0, &session, confirmed, Act::Withdraw { app, tenant }).await
}

pub(super) async fn withdraw_invitation(
    state: State<Api>,
    id: Path<Uuid>,
    form: Form,
) -> Result<Response, Refusal> {
    plain(state, id.0, form, Act::WithdrawInvitation).await
}

pub(super) async fn end_session(
    state: State<Api>,
    Path((id, session)): Path<(Uuid, Uuid)>,
    form: Form,
) -> Result<Response, Refusal> {
    plain(state, id, form, Act::EndSession(session)).await
}

pub(super) async fn end_grant(
    state: State<Api>,
    Path((id, grant)): Path<(Uuid, Uuid)>,
    form: Form,
) -> Result<Response, Refusal> {
    plain(state, id, form, Act::EndGrant(grant)).await
}

pub(super) async fn sign_out(state: State<Api>, id: Path<Uuid>, form: Form) -> Result<Response, Refusal> {
    plain(state, id.0, form, Act::SignOut).await
}

pub(super) async fn disable(state: State<Api>, id: Path<Uuid>, form: Form) -> Result<Response, Refusal> {
    plain(state, id.0, form, Act::Disable).await
}

pub(super) async fn enable(state: State<Api>, id: Path<Uuid>, form: Form) -> Result<Response, Refusal> {
    plain(state, id.0, form, Act::Enable).await
}

/// With a form that has nothing but a yes.
async fn plain(State(api): State<Api>, id: Uuid, form: Form, act: Act) -> Result<Response, Refusal> {
    form.require(Role::Admin)?;
    let (session, confirmed) = form.confirmed()?;
    ask_or_do(&api, id, &session, confirmed, act).await
}

async fn ask_or_do(
    api: &Api,
    id: Uuid,
    session: &Session,
    confirmed: bool,
    act: Act,
) -> Result<Response, Refusal> {
    if matches!(act, Act::Disable) && id == session.user.id {
        let detail = "Nobody can disable the account that they are signed in with. Another admin can.";
        let refusal = Refusal::new(StatusCode::CONFLICT, "This is your own account", detail);
        return Err(refusal.for_session(session));
    }
    let mut tx = api.pool.begin().await?;
    let account = find(&mut tx, session, id).await?;
    let noted = Change::begin(&mut tx, Subject::Account(&account.email)).await?;
    if act.may_end_an_admin() {
        admins::require_another(&mut tx, id).await.map_err(|error| no_admin_left(error, session))?;
    }
    if !confirmed {
        return Ok(asked(session, &account, &act).ask());
    }
    match act.apply(&mut tx, &account).await {
        Ok(true) => {
            noted.note_with(&mut tx, &session.actor(), act.action(), &["disabled"], act.more()).await?;
            tx.commit().await?;
        }
        // It has ended by itself meanwhile.
        Ok(false) => {}
        Err(error) => return Err(Refusal::from(problem_of_account(error)?).for_session(session)),
    }
    Ok(Redirect::to(&path(id)).into_response())
}

fn asked(session: &Session, account: &Listed, act: &Act) -> Confirm {
    let (title, happens, yes) = act.words(account);
    let fields = match act {
        Act::Withdraw { app, tenant } => {
            let tenant = tenant.map(|id| ("tenant".to_owned(), id.to_string()));
            std::iter::once(("app".to_owned(), app.clone())).chain(tenant).collect()
        }
        _ => Vec::new(),
    };
    Confirm {
        frame: Frame::new(session, "/accounts"),
        title,
        happens: vec![happens],
        details: Vec::new(),
        action: format!("{}/{}", path(account.id), act.place()),
        fields,
        yes: yes.to_owned(),
        back: path(account.id),
    }
}
