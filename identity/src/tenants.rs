//! Tenants: listed, created and changed, for commands and HTTP alike.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_queue::QueueError;
use weirgate_queue::schedule::cron::parse_zone;

use crate::audit::{self, Actor, Subject};
use crate::tenant::{SYSTEM_SLUG, Tenant};

/// Most characters of a name for people.
const LONGEST_NAME: usize = 200;

/// What a slug is to look like.
pub const SLUG: &str = "expected 1 to 64 letters, digits, - and _, such as acme_emea";

/// The constraint of the database on time zones, whose list may be older than ours.
const KNOWN_ZONE: &str = "tenants_time_zone_is_known";

/// A tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    pub id: Uuid,
    /// Its name in URLs, files and job arguments. It never changes.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// Whether jobs are accepted for it and its API keys are good.
    pub is_active: bool,
    /// Whether it allows language models on its data.
    pub llm_enabled: bool,
    /// IANA time zone: where its days begin and end.
    pub time_zone: String,
    pub created_at: DateTime<Utc>,
}

/// A tenant to be made.
#[derive(Debug, Clone)]
pub struct New {
    pub slug: String,
    pub name: String,
    pub time_zone: String,
    pub is_active: bool,
    pub llm_enabled: bool,
}

/// What to change of a tenant; what is none stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    pub name: Option<String>,
    pub time_zone: Option<String>,
    pub is_active: Option<bool>,
    pub llm_enabled: Option<bool>,
}

/// A value that cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    pub field: &'static str,
    pub message: String,
}

/// Why a tenant was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("{}", .0.iter().map(|it| format!("{}: {}", it.field, it.message)).collect::<Vec<_>>().join("; "))]
    Wrong(Vec<Wrong>),
    #[error("tenant {0:?} already exists")]
    Taken(String),
    #[error("no tenant {0:?}")]
    Unknown(String),
    #[error("the database: {0}")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Self {
        let constraint = error.as_database_error().and_then(sqlx::error::DatabaseError::constraint);
        if constraint == Some(KNOWN_ZONE) {
            let message = "the database server does not know this time zone; expected an IANA name such as Europe/Berlin or UTC";
            return Self::Wrong(vec![Wrong { field: "time_zone", message: message.to_owned() }]);
        }
        Self::Database(error)
    }
}

impl From<QueueError> for Refused {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Database(error) => error.into(),
            other => Self::Database(sqlx::Error::Protocol(other.to_string())),
        }
    }
}

/// Whether a text has the form of a slug.
pub fn is_slug(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// The tenants of which `active` is true, or all, by slug, after one slug.
pub async fn list(
    conn: &mut PgConnection,
    active: Option<bool>,
    after: &str,
    limit: i64,
) -> sqlx::Result<Vec<Stored>> {
    sqlx::query_as!(
        Stored,
        "select id, slug, name, is_active, llm_enabled, time_zone, created_at from identity.tenants
         where slug > $1 and ($2::boolean is null or is_active = $2) order by slug limit $3",
        after,
        active,
        limit
    )
    .fetch_all(conn)
    .await
}

/// The tenant of that slug or UUID.
pub async fn get(conn: &mut PgConnection, slug_or_id: &str) -> sqlx::Result<Option<Stored>> {
    match Tenant::find(&mut *conn, slug_or_id).await? {
        Some(tenant) => stored(conn, tenant.id).await,
        None => Ok(None),
    }
}

async fn stored(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Stored>> {
    sqlx::query_as!(
        Stored,
        "select id, slug, name, is_active, llm_enabled, time_zone, created_at from identity.tenants where id = $1",
        id
    )
    .fetch_optional(conn)
    .await
}

/// Makes a tenant with that id, in the caller's transaction.
pub async fn create(conn: &mut PgConnection, actor: &Actor, id: Uuid, new: &New) -> Result<Stored, Refused> {
    let New { slug, name, time_zone, is_active, llm_enabled } = new;
    let wrong = [check_slug(slug), check_name(name), check_zone(time_zone)];
    refuse(wrong.into_iter().flatten().collect())?;
    let noted = audit::Change::begin(conn, Subject::Tenant { id, slug }).await?;
    let made = sqlx::query_as!(
        Stored,
        "insert into identity.tenants (id, slug, name, is_active, llm_enabled, time_zone, created_at)
         values ($1, $2, $3, $4, $5, $6, queue.now()) on conflict (slug) do nothing
         returning id, slug, name, is_active, llm_enabled, time_zone, created_at",
        id,
        slug,
        name,
        is_active,
        llm_enabled,
        time_zone
    )
    .fetch_optional(&mut *conn)
    .await?;
    let made = made.ok_or_else(|| Refused::Taken(slug.clone()))?;
    noted.note(conn, actor, "tenant.create", &[]).await?;
    Ok(made)
}

/// Changes a tenant, in the caller's transaction. Answers with what it was before and is now; where
/// these are the same, nothing was done.
pub async fn change(
    conn: &mut PgConnection,
    actor: &Actor,
    slug_or_id: &str,
    change: &Change,
) -> Result<(Stored, Stored), Refused> {
    let Change { name, time_zone, is_active, llm_enabled } = change;
    let wrong = [name.as_deref().and_then(check_name), time_zone.as_deref().and_then(check_zone)];
    refuse(wrong.into_iter().flatten().collect())?;
    let unknown = || Refused::Unknown(slug_or_id.to_owned());
    let id = Tenant::find(&mut *conn, slug_or_id).await?.ok_or_else(unknown)?.id;
    let before = stored(&mut *conn, id).await?.ok_or_else(unknown)?;
    let noted = audit::Change::begin(conn, Subject::Tenant { id, slug: &before.slug }).await?;
    // As it is now that nobody else changes it.
    let before = stored(&mut *conn, id).await?.ok_or_else(unknown)?;
    let wanted = Stored {
        name: name.clone().unwrap_or_else(|| before.name.clone()),
        time_zone: time_zone.clone().unwrap_or_else(|| before.time_zone.clone()),
        is_active: is_active.unwrap_or(before.is_active),
        llm_enabled: llm_enabled.unwrap_or(before.llm_enabled),
        ..before.clone()
    };
    sqlx::query!(
        "update identity.tenants set name = $2, time_zone = $3, is_active = $4, llm_enabled = $5 where id = $1",
        id,
        wanted.name,
        wanted.time_zone,
        wanted.is_active,
        wanted.llm_enabled
    )
    .execute(&mut *conn)
    .await?;
    let given = [
        ("name", name.is_some()),
        ("time_zone", time_zone.is_some()),
        ("is_active", is_active.is_some()),
        ("llm_enabled", llm_enabled.is_some()),
    ];
    if given.iter().all(|(_, given)| !given) {
        return Ok((before, wanted));
    }
    let about: Vec<&str> = given.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
    noted.note(conn, actor, "tenant.change", &about).await?;
    Ok((before, wanted))
}

fn refuse(wrong: Vec<Wrong>) -> Result<(), Refused> {
    if wrong.is_empty() { Ok(()) } else { Err(Refused::Wrong(wrong)) }
}

/// A slug names its tenant wherever a tenant is named, so that it may not be what names something
/// else there.
fn check_slug(slug: &str) -> Option<Wrong> {
    let hex = slug.bytes().filter(|byte| *byte != b'-');
    let is_like_id = hex.clone().count() == 32 && hex.clone().all(|byte| byte.is_ascii_hexdigit());
    let message = if !is_slug(slug) {
        SLUG.to_owned()
    } else if is_like_id || [SYSTEM_SLUG, "all"].contains(&slug) {
        format!("{slug:?} is reserved and cannot be the slug of a tenant; {SLUG}")
    } else {
        return None;
    };
    Some(Wrong { field: "slug", message })
}

fn check_name(name: &str) -> Option<Wrong> {
    let message = if name.trim().is_empty() {
        "is blank; expected a name for people, such as \"Acme Ltd\"".to_owned()
    } else if name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        format!("expected at most {LONGEST_NAME} characters without control characters, such as \"Acme Ltd\"")
    } else {
        return None;
    };
    Some(Wrong { field: "name", message })
}

fn check_zone(time_zone: &str) -> Option<Wrong> {
    let message = parse_zone(time_zone).err()?;
    Some(Wrong { field: "time_zone", message })
}
