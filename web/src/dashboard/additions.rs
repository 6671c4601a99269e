//! What a domain adds to pages of the service: the overview, and the list of tenants.

use std::collections::HashMap;
use std::fmt;

use futures_util::future::BoxFuture;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::refusal::Refusal;
use super::shared::Shared;

/// A number on the overview.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What it counts.
    pub name: &'static str,
    /// Where that is shown.
    pub link: &'static str,
    /// The number, in words.
    pub value: String,
    /// What else has to be known of it.
    pub remark: &'static str,
}

/// Which tenants are asked for, of those that something is so with.
#[derive(Debug, Clone, Copy)]
pub struct TenantsAsked<'a> {
    /// What is so with them, by a name of [`Additions::picks`].
    pub show: &'a str,
    /// A text in their slugs or names.
    pub text: Option<&'a str>,
    /// Slugs after this one.
    pub after: &'a str,
    /// At most so many, in the order of their slugs.
    pub most: i64,
}

/// What a domain adds.
pub trait Additions: fmt::Debug + Send + Sync {
    /// What needs somebody, as items of the overview's list.
    fn notices<'a>(&'a self, pool: &'a PgPool, shared: &'a Shared) -> BoxFuture<'a, Result<String, Refusal>>;

    /// Numbers on the overview.
    fn figures<'a>(&'a self, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<Vec<Figure>, Refusal>>;

    /// Paragraphs above the list of tenants, in HTML.
    fn explanation(&self) -> String;

    /// The heads of its columns in the list of tenants, in HTML.
    fn columns(&self) -> String;

    /// The cells of these tenants in those columns, in HTML; of each tenant there are some.
    fn cells<'a>(
        &'a self,
        conn: &'a mut PgConnection,
        tenants: &'a [Uuid],
    ) -> BoxFuture<'a, Result<HashMap<Uuid, String>, Refusal>>;

    /// What tenants can be picked by: a name, and words.
    fn picks(&self) -> Vec<(&'static str, &'static str)>;

    /// The active tenants that are asked for by one of these names.
    fn pick<'a>(
        &'a self,
        conn: &'a mut PgConnection,
        asked: TenantsAsked<'a>,
    ) -> BoxFuture<'a, Result<Vec<Uuid>, Refusal>>;
}
