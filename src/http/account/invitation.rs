//! The page of an invitation: who has its link chooses a password, and signs in with it afterwards.

use askama::Template;
use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;
use weirgate_identity::audit::{Actor, Change, Subject};
use weirgate_identity::invitations::{self, Invited};
use weirgate_identity::passwords;
use weirgate_web::client_address::ClientAddress;
use weirgate_web::dashboard::form::{Field, Given, Wrong};
use weirgate_web::dashboard::frame::page;
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::sent::{given, is_ours, read_pairs};
use weirgate_web::params::Fields;
use weirgate_web::permits::under;
use weirgate_web::problem::{Problem, Shown};

use crate::http::Api;
use crate::http::people::problem_of_account;

/// Largest form, in bytes. Anybody may send one.
const MOST_BYTES: usize = 16 * 1024;

#[derive(Template)]
#[template(path = "account_invitation.html")]
struct InvitationPage<'a> {
    email: &'a str,
    full_name: &'a str,
    token: &'a str,
    fields: Vec<Field>,
    is_wrong: bool,
}

#[derive(Template)]
#[template(path = "account_invitation_ended.html")]
struct EndedPage;

pub(super) async fn show(State(api): State<Api>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let query = query.unwrap_or_default();
    let token = given(query.as_bytes()).find(|(name, _)| name == "token").map(|(_, token)| token);
    let token = token.unwrap_or_default();
    match find(&api, &token).await? {
        Some(invited) => Ok(page(&InvitationPage::new(&invited, &token, &Given::default()))),
        None => Ok(ended()),
    }
}

pub(super) async fn accept(
    State(api): State<Api>,
    ClientAddress(address): ClientAddress,
    request: Request,
) -> Result<Response, Response> {
    let refuse = |refusal: Refusal| refusal.into_response();
    if !is_ours(request.headers()) {
        let detail = "Nothing was done. Open the link of the invitation itself.";
        let refusal = Refusal::new(StatusCode::FORBIDDEN, "Request from another site", detail);
        return Err(refuse(refusal.to_account()));
    }
    let mut fields = Fields::of_pairs(read_pairs(request, MOST_BYTES).await?);
    let token = fields.one("token").unwrap_or_default();
    // Before any work is done for a password: nobody but who is invited can ask for it.
    let Some(invited) = find(&api, &token).await.map_err(refuse)? else { return Ok(ended()) };
    let password = match take(fields) {
        Ok(password) => password,
        Err(problem) => {
            let wrong = Wrong::of(problem, "").map_err(refuse)?;
            let given = Given::new(Vec::new(), Some(&wrong));
            return Ok(wrong.page(&InvitationPage::new(&invited, &token, &given)));
        }
    };
    let actor = Actor::account(&invited.email, address);
    let invited = set(&api, &actor, &invited.email, &token, &password).await.map_err(refuse)?;
    let Some(invited) = invited else { return Ok(ended()) };
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("email", &invited.email)
        .append_pair("password_set", "true")
        .finish();
    Ok(Redirect::to(&format!("/account/sign-in?{query}")).into_response())
}

impl<'a> InvitationPage<'a> {
    fn new(invited: &'a Invited, token: &'a str, given: &Given) -> Self {
        let fields = vec![
            given.field("password", "Password (12 to 1,000 characters)").password("new-password"),
            given.field("again", "Password, again").password("new-password"),
        ];
        let is_wrong = fields.iter().any(Field::is_wrong);
        Self { email: &invited.email, full_name: &invited.full_name, token, fields, is_wrong }
    }
}

/// The same for a link that is used, too old or unknown: whoever guesses learns nothing.
fn ended() -> Response {
    let mut response = page(&EndedPage);
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.extensions_mut().insert(Shown);
    response
}

/// Who is invited. Those whom nobody knows share a few look-ups.
async fn find(api: &Api, token: &str) -> Result<Option<Invited>, Refusal> {
    let permit = api.web.permits.of_sign_in().await?;
    let (pool, token) = (api.pool.clone(), token.to_owned());
    let find = async move { invitations::find(&mut *pool.acquire().await?, &token).await };
    Ok(under(permit, find).await?)
}

fn take(mut fields: Fields) -> Result<String, Problem> {
    let [password, again] = ["password", "again"].map(|field| {
        let given = fields.one(field);
        if given.is_none() {
            fields.fail(field, "required");
        }
        given.unwrap_or_default()
    });
    if let Err(error) = passwords::check(&password)
        && !password.is_empty()
    {
        fields.fail("password", error);
    } else if !again.is_empty() && password != again {
        fields.fail("again", "differs from the password above");
    }
    fields.finish(Some(password))
}

/// `None` where somebody else was quicker.
async fn set(
    api: &Api,
    actor: &Actor,
    email: &str,
    token: &str,
    password: &str,
) -> Result<Option<Invited>, Refusal> {
    let mut tx = api.pool.begin().await?;
    let noted = Change::begin(&mut tx, Subject::Account(email)).await?;
    let invited = match invitations::accept(&mut tx, token, password).await {
        Ok(invited) => invited,
        Err(error) => return Err(problem_of_account(error)?.into()),
    };
    if invited.is_some() {
        let more = json!({ "password": "chosen by an invitation" });
        noted.note_with(&mut tx, actor, "account.accept", &["has_password"], more).await?;
    }
    tx.commit().await?;
    Ok(invited)
}
