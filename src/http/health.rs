//! Whether this process lives, and whether it can serve.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::Api;
use crate::http::problem::Problem;

const DATABASE_LIMIT: Duration = Duration::from_secs(1);

/// How it goes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`
    #[schema(example = "ok")]
    status: &'static str,
}

/// The process lives.
#[utoipa::path(
    get, path = "/health", tag = "Operation",
    responses((status = 200, description = "It lives", body = Health))
)]
pub(crate) async fn get_health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// The database answers within a second.
#[utoipa::path(
    get, path = "/health/ready", tag = "Operation",
    responses((status = 200, description = "It serves", body = Health), (status = 503, description = "It does not"))
)]
pub(crate) async fn get_readiness(State(api): State<Api>) -> Result<Json<Health>, Problem> {
    let answer = sqlx::query_scalar!(r#"select 1 as "one!""#).fetch_one(&api.pool);
    match tokio::time::timeout(DATABASE_LIMIT, answer).await {
        Ok(Ok(_)) => Ok(Json(Health { status: "ok" })),
        Ok(Err(error)) => Err(not_ready(&error)),
        Err(late) => Err(not_ready(&late)),
    }
}

fn not_ready(error: &dyn std::fmt::Display) -> Problem {
    tracing::warn!(%error, "not ready: the database does not answer");
    Problem::unavailable("database_unavailable", "Database unavailable", "the database does not answer")
}
