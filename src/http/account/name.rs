//! What somebody is called, and the language that they are written to in.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use weirgate_identity::accounts;
use weirgate_identity::audit::{Change, Subject};
use weirgate_web::dashboard::form::{Given, Wrong};
use weirgate_web::dashboard::person::PersonForm;
use weirgate_web::dashboard::refusal::Refusal;

use super::overview::AccountPage;
use crate::http::Api;
use crate::http::people::problem_of_account;

pub(super) async fn change(State(api): State<Api>, form: PersonForm) -> Result<Response, Refusal> {
    let actor = form.actor();
    let PersonForm { person, mut fields, .. } = form;
    let sent = fields.pairs().to_vec();
    let [name, language] = ["full_name", "locale"].map(|field| fields.one(field).unwrap_or_default());
    fields.finish(Some(()))?;
    let mut tx = api.pool.begin().await?;
    let noted = Change::begin(&mut tx, Subject::Account(&person.email)).await?;
    if let Err(error) = accounts::set_name(&mut tx, person.account, &name, &language).await {
        drop(tx);
        let wrong = Wrong::of(problem_of_account(error)?, "")?;
        let given = Given::new(sent, Some(&wrong));
        return Ok(wrong.page(&AccountPage::load(&api, &person, Some(&given), &Given::default()).await?));
    }
    noted.note_if_any(&mut tx, &actor, "account.name").await?;
    tx.commit().await?;
    Ok(Redirect::to("/account?done=name").into_response())
}
