//! Browsers that somebody is signed in with, ended by themselves.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;
use uuid::Uuid;
use weirgate_identity::{accounts, sessions};
use weirgate_web::dashboard::person::PersonForm;
use weirgate_web::dashboard::refusal::{Path, Refusal};

use crate::http::Api;

pub(super) async fn end(
    State(api): State<Api>,
    Path(id): Path<Uuid>,
    form: PersonForm,
) -> Result<Response, Refusal> {
    let actor = form.actor();
    let PersonForm { person, fields, .. } = form;
    fields.finish(Some(()))?;
    let mut tx = api.pool.begin().await?;
    if sessions::end_one(&mut tx, person.account, id).await? {
        let detail = json!({ "before": { "session": id }, "after": null });
        actor.note(&mut tx, "account.session_end", &person.email, None, &detail).await?;
    }
    tx.commit().await?;
    Ok(Redirect::to("/account?done=session").into_response())
}

/// All of them but this one, and all apps.
pub(super) async fn end_others(State(api): State<Api>, form: PersonForm) -> Result<Response, Refusal> {
    let actor = form.actor();
    let PersonForm { person, fields, .. } = form;
    fields.finish(Some(()))?;
    let mut tx = api.pool.begin().await?;
    accounts::end_sign_ins(&mut tx, person.account, Some(person.session)).await?;
    let detail = json!({ "before": null, "after": { "signed_in": "here alone" } });
    actor.note(&mut tx, "account.sign_out", &person.email, None, &detail).await?;
    tx.commit().await?;
    Ok(Redirect::to("/account?done=others").into_response())
}
