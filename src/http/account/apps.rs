//! Apps that somebody is signed in to, ended by themselves.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;
use uuid::Uuid;
use weirgate_identity::grants;
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
    if grants::revoke_of(&mut tx, person.account, id, "ended by its owner").await? {
        let detail = json!({ "before": { "grant": id }, "after": null });
        actor.note(&mut tx, "account.grant_end", &person.email, None, &detail).await?;
    }
    tx.commit().await?;
    Ok(Redirect::to("/account?done=app").into_response())
}
