//! Where somebody is signed in, as rows of tables: browsers and apps.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;
use weirgate_identity::roles::Roles;
use weirgate_identity::{grants, sessions};
use weirgate_web::dashboard::when::When;

use super::browser_words::browser;
use super::people::app_in_words;

/// A browser.
pub(super) struct SessionRow {
    pub(super) id: Uuid,
    pub(super) browser: String,
    pub(super) address: String,
    pub(super) since: When,
    pub(super) used: When,
    /// Whether it is the one that looks.
    pub(super) is_this: bool,
}

/// An app.
pub(super) struct AppRow {
    pub(super) id: Uuid,
    pub(super) name: String,
    /// What it is signed in for.
    pub(super) role: String,
    pub(super) browser: String,
    pub(super) address: String,
    pub(super) since: When,
    pub(super) used: When,
}

/// The time, which decides what has ended.
pub(super) async fn now(conn: &mut PgConnection) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"select queue.now() as "now!""#).fetch_one(conn).await
}

/// The browsers that an account is signed in with; `this` is the session of who looks.
pub(super) async fn sessions(
    conn: &mut PgConnection,
    account: Uuid,
    this: Option<Uuid>,
) -> sqlx::Result<Vec<SessionRow>> {
    let now = now(conn).await?;
    let all = sessions::of_account(conn, account).await?.into_iter();
    let rows = all.map(|it| SessionRow {
        is_this: this == Some(it.id),
        id: it.id,
        browser: browser(it.user_agent.as_deref()),
        address: it.address.unwrap_or_else(|| "–".to_owned()),
        since: When::new(it.created_at, now),
        used: When::new(it.seen_at, now),
    });
    Ok(rows.collect())
}

/// The apps that an account is signed in to.
pub(super) async fn apps(conn: &mut PgConnection, account: Uuid, known: &Roles) -> sqlx::Result<Vec<AppRow>> {
    let now = now(conn).await?;
    let all = grants::of_account(conn, account).await?.into_iter();
    let rows = all.map(|it| {
        let app = app_in_words(&it.app, known);
        AppRow {
            id: it.id,
            // Without an app, somebody signed in by the API with their password.
            name: it.client_name.or(it.client).unwrap_or_else(|| "Sign-in by the API".to_owned()),
            role: match it.tenant {
                Some(tenant) => format!("{app}, {} of {tenant}", it.role),
                None => format!("{app}, {}", it.role),
            },
            browser: browser(it.user_agent.as_deref()),
            address: it.address.unwrap_or_else(|| "–".to_owned()),
            since: When::new(it.created_at, now),
            used: When::new(it.used_at, now),
        }
    });
    Ok(rows.collect())
}
