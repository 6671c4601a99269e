//! Whether this process lives, and whether it can serve.

mod readiness;

use axum::Json;
use axum::extract::State;
use readiness::NotReady;
use serde::Serialize;
use utoipa::ToSchema;
use weirgate_web::problem::Problem;

use crate::http::Api;

pub(crate) use readiness::LatestReadiness;

/// How it goes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`
    #[schema(example = "ok")]
    status: &'static str,
}

/// The process is up.
#[utoipa::path(
    get, path = "/health", tag = "Operation",
    responses((status = 200, description = "The process is up", body = Health))
)]
pub(crate) async fn get_health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// A job that comes in now would be stored: the database answers on the way that enqueues go, takes
/// writes, and has all migrations of this version. At most a second old.
#[utoipa::path(
    get, path = "/health/ready", tag = "Operation",
    responses(
        (status = 200, description = "It is ready", body = Health),
        (
            status = 503,
            description = "It is not ready; `code` says why: `database_unavailable`, `database_read_only` or `database_not_migrated`"
        )
    )
)]
pub(crate) async fn get_readiness(State(api): State<Api>) -> Result<Json<Health>, Problem> {
    let asking = async {
        if api.web.batcher.is_open().await {
            readiness::ask(&api.pool, &api.histories).await
        } else {
            Err(NotReady::Silent)
        }
    };
    api.readiness.or(asking).await?;
    Ok(Json(Health { status: "ok" }))
}
