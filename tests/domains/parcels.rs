//! A domain that this program does not have: two kinds, in a queue of their own, two routes, and one
//! table.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weirgate::http::Api;
use weirgate_queue::{Job, JobContext, JobError, Kinds, NewJob};
use weirgate_web::Web;
use weirgate_web::domain::{Domain, DomainRoutes, Enqueueable};
use weirgate_web::enqueue::{EnqueueBody, EnqueueHeaders, EnqueueRequest};
use weirgate_web::openapi::JobAccepted;
use weirgate_web::plan::Plan;
use weirgate_web::problem::Problem;
use weirgate_web::query_params;

/// Its table; a domain of the program has a migration.
pub(super) const TABLE: &str =
    "create table parcels (label text primary key, is_delivered boolean not null default false)";

/// What it does: one readable list.
pub(super) fn domain() -> Domain<PgPool, Api> {
    Domain {
        kinds: Kinds::default().with::<Send>().with::<Deliver>(),
        enqueueables: vec![Enqueueable::of::<Send>(&["internal", "parcels"]).taking(&["label"])],
        error_texts: vec![("no_label", "The parcel has no label.")],
        routes: DomainRoutes { internal: routes, ..DomainRoutes::default() },
        ..Domain::new("parcels")
    }
}

fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(send_parcel, list_parcels))
}

query_params! {
    /// Which parcel.
    pub(super) struct Label {
        label: String,
    }
}

/// Enqueues the sending of a parcel.
#[utoipa::path(
    post, path = "/internal/parcels", tag = "Enqueue",
    params(EnqueueRequest::<Label>, EnqueueHeaders), request_body = EnqueueBody, responses(JobAccepted)
)]
async fn send_parcel(State(web): State<Web>, request: EnqueueRequest<Label>) -> Result<Response, Problem> {
    request
        .run(&web, |tenant, Label { label }, adjust| {
            let job = Send { tenant: tenant.slug.to_string(), label: label.clone() };
            NewJob::of(tenant.id, &job).map(|job| Plan::Job(adjust(job)))
        })
        .await
}

/// A parcel.
#[derive(Debug, Serialize, FromRow, ToSchema)]
struct Parcel {
    label: String,
    is_delivered: bool,
}

/// Lists all parcels.
#[utoipa::path(
    get, path = "/internal/parcels", tag = "Operation",
    responses((status = 200, description = "The parcels", body = Vec<Parcel>))
)]
async fn list_parcels(State(web): State<Web>) -> Result<Json<Vec<Parcel>>, Problem> {
    let parcels = sqlx::query_as("select label, is_delivered from parcels order by label");
    Ok(Json(parcels.fetch_all(&web.pool).await?))
}

/// Takes a parcel in, and has it delivered.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Send {
    pub(super) tenant: String,
    pub(super) label: String,
}

impl Job for Send {
    const KIND: &'static str = "parcels.send";
    const QUEUE: &'static str = "parcels";
    type App = PgPool;
    type Output = ();

    async fn run(&self, ctx: &JobContext<PgPool>) -> Result<(), JobError> {
        if self.label.is_empty() {
            return Err(JobError::discard("no_label", "there is none"));
        }
        let tenant = ctx.run().map(|run| run.tenant).unwrap_or_default();
        let mut tx = ctx.app.begin().await?;
        sqlx::query("insert into parcels (label) values ($1) on conflict do nothing")
            .bind(&self.label)
            .execute(&mut *tx)
            .await?;
        ctx.then(NewJob::of(tenant, &Deliver { label: self.label.clone() })?);
        ctx.finish_in(tx, &()).await
    }
}

/// Delivers a parcel.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Deliver {
    label: String,
}

impl Job for Deliver {
    const KIND: &'static str = "parcels.deliver";
    const QUEUE: &'static str = "parcels";
    type App = PgPool;
    type Output = ();

    async fn run(&self, ctx: &JobContext<PgPool>) -> Result<(), JobError> {
        let mut tx = ctx.app.begin().await?;
        sqlx::query("update parcels set is_delivered = true where label = $1")
            .bind(&self.label)
            .execute(&mut *tx)
            .await?;
        ctx.finish_in(tx, &()).await
    }
}
