//! `POST /api/v1/auth/password`.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use weirgate_identity::accounts::{self, AccountsError};
use weirgate_identity::audit::{Actor, Change, Subject, Via};
use weirgate_identity::{invitations, passwords};
use weirgate_web::access::SignedIn;
use weirgate_web::client_address::ClientAddress;
use weirgate_web::extract::{parse_body, read_body};
use weirgate_web::params::Query;
use weirgate_web::permits::under;
use weirgate_web::problem::{FieldError, Problem};

use super::login::problem;
use crate::http::Api;
use crate::http::sign_in::{Caller, NotSignedIn, Refused};

/// A password that is chosen: by an invitation, or in place of the present one.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = NewPassword)]
pub(crate) struct NewPassword {
    /// What the link of an invitation holds; then no access token is needed.
    #[schema(value_type = Option<String>, max_length = 1000)]
    token: Option<String>,
    /// The present password, of the account of the access token.
    #[schema(value_type = Option<String>, max_length = 1000, format = Password)]
    current_password: Option<String>,
    /// The new one.
    #[schema(required = true, value_type = String, min_length = 12, max_length = 1000, format = Password)]
    password: Option<String>,
}

/// Chooses a password, by an invitation or with the present one. All sign-ins of the account end.
#[utoipa::path(
    post, path = "/api/v1/auth/password", tag = "Sign-in", security((), ("access_token" = [])),
    request_body = NewPassword,
    responses(
        (status = 204, description = "The password is set"),
        (status = 400, description = "invalid_invitation: the link is unknown, used or too old; malformed_json, unreadable_body"),
        (status = 401, description = "invalid_credentials: the present password is wrong; unauthorized, invalid_token, token_expired"),
        (status = 429, description = "too_many_sign_ins: too many have failed"),
    )
)]
pub(crate) async fn set_password(
    State(api): State<Api>,
    ClientAddress(address): ClientAddress,
    Query(()): Query<()>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let (mut parts, body) = request.into_parts();
    let head = parts.clone();
    let body = read_body(Request::from_parts(head, body)).await?;
    let given: NewPassword = parse_body(&parts.headers, &body)?;
    let wrong = |field: &str, message: &str| {
        Problem::invalid(vec![FieldError { field: field.to_owned(), message: message.to_owned() }])
    };
    let new = given.password.ok_or_else(|| wrong("password", "required: 12 to 1,000 characters"))?;
    match (given.token, given.current_password) {
        (Some(token), None) => {
            passwords::check(&new).map_err(|error| refused(error.into()))?;
            // A password is hashed for those alone who have a link that is good.
            let (pool, asked) = (api.pool.clone(), token.clone());
            let find = async move { invitations::find(&mut *pool.acquire().await?, &asked).await };
            under(api.web.permits.of_sign_in().await?, find).await?.ok_or_else(invalid_invitation)?;
            let mut tx = api.pool.begin().await?;
            let accepted = invitations::accept(&mut tx, &token, &new).await.map_err(refused)?;
            let invited = accepted.ok_or_else(invalid_invitation)?;
            let by = Actor::account(&invited.email, address);
            by.note(&mut tx, "account.accept", &invited.email, None, &json!({ "password": "set" })).await?;
            tx.commit().await?;
        }
        (None, Some(current)) => {
            let SignedIn(access) = SignedIn::from_request_parts(&mut parts, &api).await?;
            let caller = Caller::new(&access.email, address, None);
            let epoch = match api.sign_ins.check(&api.web, &caller, &access.email, &current).await {
                Ok(account) => account.token_epoch,
                Err(NotSignedIn::Refused(why)) => {
                    if matches!(why, Refused::Wrong) {
                        api.sign_ins.note_failure(&api.pool, Via::Account, address, &access.email).await?;
                    }
                    return Err(problem(why));
                }
                Err(NotSignedIn::Broken(problem)) => return Err(problem),
            };
            // Before anything is held: hashing takes a while.
            let hash = passwords::hash(&new).await.map_err(|error| refused(error.into()))?;
            let mut tx = api.pool.begin().await?;
            let noted = Change::begin(&mut tx, Subject::Account(&access.email)).await?;
            if !accounts::store_password(&mut tx, access.account, &hash, None, Some(epoch)).await? {
                return Err(problem(Refused::Wrong));
            }
            let by = Actor::account(&access.email, address);
            noted
                .note_with(&mut tx, &by, "account.password", &["disabled"], json!({ "password": "set anew" }))
                .await?;
            tx.commit().await?;
            if let Some(tokens) = &api.web.tokens {
                tokens.ended(access.grant);
            }
        }
        _ => return Err(wrong("token", "send either `token` or `currentPassword`, and not both")),
    }
    Ok(StatusCode::NO_CONTENT)
}

fn invalid_invitation() -> Problem {
    let detail = "the invitation is unknown, used or too old; ask for another one";
    Problem::new(StatusCode::BAD_REQUEST, "invalid_invitation", "Invalid invitation", detail)
}

fn refused(error: AccountsError) -> Problem {
    match error {
        AccountsError::Database(error) => error.into(),
        error => {
            Problem::invalid(vec![FieldError { field: "password".to_owned(), message: error.to_string() }])
        }
    }
}
