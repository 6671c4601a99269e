//! A sign-in becomes a grant with its first tokens.

use serde_json::json;
use sqlx::PgConnection;
use weirgate_identity::audit::Actor;
use weirgate_identity::grants::{self, New, Subject, refresh};
use weirgate_identity::tokens::{IssueError, Issued, Tokens};
use weirgate_web::problem::Problem;

use crate::random;

/// A grant that has begun.
pub(in crate::http) struct Begun {
    pub(in crate::http) subject: Subject,
    pub(in crate::http) refresh_token: String,
    pub(in crate::http) issued: Issued,
}

/// Begins a grant, in the caller's transaction; none where what it is for does not count any more.
pub(in crate::http) async fn begin(
    conn: &mut PgConnection,
    tokens: &Tokens,
    new: New<'_>,
    actor: impl FnOnce(&Subject) -> Actor,
) -> Result<Option<Begun>, Problem> {
    let (id, refresh_token) = (new.id, refresh::first(random::bytes()));
    grants::begin(conn, new).await?;
    let Some(subject) = grants::live_one(conn, id).await? else { return Ok(None) };
    refresh::begin(conn, id, &refresh_token).await?;
    let issued = issue(tokens, &subject).await?;
    let detail = json!({
        "grant": id, "app": subject.app, "role": subject.role, "client": subject.client,
    });
    actor(&subject).note(conn, "sign_in", &subject.email, subject.tenant, &detail).await?;
    Ok(Some(Begun { subject, refresh_token, issued }))
}

/// Gives out an access token.
pub(in crate::http) async fn issue(tokens: &Tokens, subject: &Subject) -> Result<Issued, Problem> {
    tokens.issue(subject).await.map_err(|error| match error {
        IssueError::Role { .. } => {
            tracing::warn!(%error, "no access token was given out");
            let detail = "the role of this sign-in is of a domain that this process does not serve";
            Problem::unavailable("unknown_role", "Unknown role", detail)
        }
        IssueError::Signing(error) => {
            tracing::error!(%error, "an access token could not be signed");
            Problem::database_unavailable()
        }
    })
}
