//! A domain that this program does not have: two kinds, in a queue of their own, and one table.

use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use weirgate::http::Api;
use weirgate_queue::{Job, JobContext, JobError, Kinds, NewJob};
use weirgate_web::domain::{Domain, Enqueueable};

/// Its table; a domain of the program has a migration.
pub(super) const TABLE: &str =
    "create table parcels (label text primary key, is_delivered boolean not null default false)";

/// What it does: one readable list.
pub(super) fn domain() -> Domain<PgPool, Api> {
    Domain {
        kinds: Kinds::default().with::<Send>().with::<Deliver>(),
        enqueueables: vec![Enqueueable::of::<Send>(&["internal", "parcels"]).taking(&["label"])],
        error_texts: vec![("no_label", "The parcel has no label.")],
        ..Domain::new("parcels")
    }
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
