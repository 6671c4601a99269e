//! A domain that this program does not have: two kinds, in a queue of their own, four routes, one
//! page, one scope, and one table in a schema of its own.

use std::sync::LazyLock;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use sqlx::migrate::Migrator;
use sqlx::{FromRow, PgPool};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weirgate::http::Api;
use weirgate_identity::scopes::Scope;
use weirgate_queue::{Job, JobContext, JobError, Kinds, NewJob};
use weirgate_web::Web;
use weirgate_web::dashboard::frame::{Frame, page};
use weirgate_web::dashboard::navigation::DomainEntry;
use weirgate_web::dashboard::refusal::Refusal;
use weirgate_web::dashboard::session::Session;
use weirgate_web::domain::{Domain, DomainRoutes, Enqueueable};
use weirgate_web::enqueue::{EnqueueBody, EnqueueHeaders, EnqueueRequest};
use weirgate_web::extract::Path;
use weirgate_web::history::History;
use weirgate_web::openapi::JobAccepted;
use weirgate_web::plan::Plan;
use weirgate_web::problem::Problem;
use weirgate_web::query_params;
use weirgate_web::scoped::scoped;

/// The migrations of its schema. A crate says in a `sqlx.toml` of its own what stands here beside
/// them.
static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| Migrator {
    table_name: "parcels._sqlx_migrations".into(),
    create_schemas: vec!["parcels".into()].into(),
    ..sqlx::migrate!("tests/domains/parcels/migrations")
});

/// Came after keys had scopes, so that no key has it that was not given it.
const READ_PARCELS: Scope = Scope { name: "read:parcels", text: "Follow parcels", by_default: false };

/// What it does: one readable list.
pub(super) fn domain() -> Domain<PgPool, Api> {
    Domain {
        kinds: Kinds::default().with::<Send>().with::<Deliver>(),
        enqueueables: vec![Enqueueable::of::<Send>(&["internal", "parcels"]).taking(&["label"])],
        error_texts: vec![
            ("no_label", "The parcel has no label."),
            ("wrong_note", "The note is another parcel's."),
        ],
        scopes: vec![READ_PARCELS],
        history: Some(History { schema: "parcels", migrator: &MIGRATOR }),
        navigation: vec![DomainEntry { name: "Parcels", path: "/parcels", after: "/queues" }],
        routes: DomainRoutes { internal: routes, v1, pages },
        ..Domain::new("parcels")
    }
}

fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(send_parcel, list_parcels)).routes(routes!(get_parcel))
}

fn v1() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(scoped(READ_PARCELS, routes!(follow_parcel)))
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
    let sealing = web.sealing()?;
    request
        .run(&web, move |tenant, Label { label }, adjust| {
            let job = Send { tenant: tenant.slug.to_string(), label: label.clone() };
            let job = NewJob::of(tenant.id, &job)?.private(&*sealing, &note(label))?;
            Ok(Plan::Job(adjust(job)))
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
    Ok(Json(parcels(&web.pool).await?))
}

async fn parcels(pool: &PgPool) -> sqlx::Result<Vec<Parcel>> {
    sqlx::query_as("select label, is_delivered from parcels.parcels order by label").fetch_all(pool).await
}

/// Shows a parcel.
#[utoipa::path(
    get, path = "/internal/parcels/{label}", tag = "Operation",
    params(("label" = String, Path, description = "What is written on it")),
    responses((status = 200, description = "The parcel", body = Parcel))
)]
async fn get_parcel(State(web): State<Web>, Path(label): Path<String>) -> Result<Json<Parcel>, Problem> {
    let parcel = sqlx::query_as("select label, is_delivered from parcels.parcels where label = $1");
    let parcel = parcel.bind(&label).fetch_optional(&web.pool).await?;
    parcel.map(Json).ok_or_else(|| Problem::not_found("unknown_parcel", "Unknown parcel", label))
}

/// Shows a parcel to whoever waits for it.
#[utoipa::path(
    get, path = "/v1/parcels/{label}", tag = "Results",
    params(("label" = String, Path, description = "What is written on it")),
    responses((status = 200, description = "The parcel", body = Parcel))
)]
async fn follow_parcel(state: State<Web>, label: Path<String>) -> Result<Json<Parcel>, Problem> {
    get_parcel(state, label).await
}

fn pages() -> Router<Api> {
    Router::new().route("/parcels", get(show_parcels))
}

#[derive(Template)]
#[template(path = "parcels.html")]
struct ParcelsPage {
    frame: Frame,
    parcels: Vec<Parcel>,
}

async fn show_parcels(State(web): State<Web>, session: Session) -> Result<Response, Refusal> {
    Ok(page(&ParcelsPage { frame: Frame::new(&session, "/parcels"), parcels: parcels(&web.pool).await? }))
}

/// What is known to who packs the parcel alone.
pub(super) fn note(label: &str) -> String {
    format!("{label} are a surprise")
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
        if ctx.private::<String>().await? != note(&self.label) {
            return Err(JobError::discard("wrong_note", "this is the note of another parcel"));
        }
        let tenant = ctx.run().map(|run| run.tenant).unwrap_or_default();
        let mut tx = ctx.app.begin().await?;
        sqlx::query("insert into parcels.parcels (label) values ($1) on conflict do nothing")
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
        sqlx::query("update parcels.parcels set is_delivered = true where label = $1")
            .bind(&self.label)
            .execute(&mut *tx)
            .await?;
        ctx.finish_in(tx, &()).await
    }
}
