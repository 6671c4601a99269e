//! Another password, by somebody who knows the one that they have.

use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;
use weirgate_identity::audit::{Actor, Change, Subject, Via};
use weirgate_identity::{accounts, passwords};
use weirgate_web::dashboard::form::{Given, Wrong};
use weirgate_web::dashboard::person::{Person, PersonForm};
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::params::Fields;
use weirgate_web::problem::{FieldError, Problem};

use super::overview::AccountPage;
use crate::http::Api;
use crate::http::people::problem_of_account;
use crate::http::sign_in::{Caller, NotSignedIn, Refused, short};

pub(super) async fn change(State(api): State<Api>, form: PersonForm) -> Result<Response, Refusal> {
    let actor = form.actor();
    let PersonForm { person, address, fields } = form;
    let (current, new) = match take(fields) {
        Ok(passwords) => passwords,
        Err(problem) => return again(&api, &person, problem).await,
    };
    // Guesses of who has come by a session count for that session, as those of a browser that is
    // known do at the sign-in: they are few, and shut out nobody else.
    let caller = Caller::new(&person.email, address, Some(short(person.session.as_bytes())));
    let epoch = match api.sign_ins.check(&api.web, &caller, &person.email, &current).await {
        Ok(account) => account.token_epoch,
        Err(NotSignedIn::Broken(problem)) => return Err(problem.into()),
        Err(NotSignedIn::Refused(refused)) => {
            if refused == Refused::Wrong {
                api.sign_ins.note_failure(&api.pool, Via::Account, address, &person.email).await?;
            }
            return not_checked(&api, &person, refused).await;
        }
    };
    if !store(&api, &person, &actor, &new, epoch).await? {
        // It was changed since it was looked at.
        return not_checked(&api, &person, Refused::Wrong).await;
    }
    Ok(Redirect::to("/account?done=password").into_response())
}

/// The current password and the new one.
fn take(mut fields: Fields) -> Result<(String, String), Problem> {
    let [current, new, again] = ["current", "new", "again"].map(|field| {
        let given = fields.one(field);
        if given.is_none() {
            fields.fail(field, "required");
        }
        given.unwrap_or_default()
    });
    if let Err(error) = passwords::check(&new)
        && !new.is_empty()
    {
        fields.fail("new", error);
    } else if !again.is_empty() && new != again {
        fields.fail("again", "differs from the new password above");
    } else if !new.is_empty() && new == current {
        fields.fail("new", "is the password that you have already");
    }
    fields.finish(Some((current, new)))
}

/// Other sessions and all apps are signed out with it; this session stays.
async fn store(api: &Api, person: &Person, actor: &Actor, new: &str, epoch: i32) -> Result<bool, Refusal> {
    // Before anything is held: hashing takes a while.
    let hash = match passwords::hash(new).await {
        Ok(hash) => hash,
        Err(error) => return Err(problem_of_account(error.into())?.into()),
    };
    let mut tx = api.pool.begin().await?;
    let noted = Change::begin(&mut tx, Subject::Account(&person.email)).await?;
    let (account, session) = (person.account, Some(person.session));
    if !accounts::store_password(&mut tx, account, &hash, session, Some(epoch)).await? {
        return Ok(false);
    }
    let more = json!({ "password": "set anew" });
    noted.note_with(&mut tx, actor, "account.password", &["disabled"], more).await?;
    tx.commit().await?;
    Ok(true)
}

/// The page once more, with what is wrong.
async fn again(api: &Api, person: &Person, problem: Problem) -> Result<Response, Refusal> {
    let wrong = Wrong::of(problem, "")?;
    let given = Given::new(Vec::new(), Some(&wrong));
    Ok(wrong.page(&AccountPage::load(api, person, None, &given).await?))
}

async fn not_checked(api: &Api, person: &Person, refused: Refused) -> Result<Response, Refusal> {
    let message = match refused {
        Refused::Wrong => "this is not the password that you have now".to_owned(),
        other => other.words(),
    };
    let problem = Problem::invalid(vec![FieldError { field: "current".to_owned(), message }]);
    let mut response = again(api, person, problem).await?;
    if let Some(seconds) = refused.seconds() {
        *response.status_mut() = refused.status();
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    Ok(response)
}
