//! The sessions of an account, as people see them.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{IDLE, LONGEST};

/// A session that has not ended.
#[derive(Debug, Clone)]
pub struct Listed {
    pub id: Uuid,
    /// When they signed in.
    pub created_at: DateTime<Utc>,
    /// The last request, to the minute.
    pub seen_at: DateTime<Utc>,
    /// Where the sign-in came from, if that is known.
    pub address: Option<String>,
    /// What the browser called itself.
    pub user_agent: Option<String>,
}

/// The sessions of an account, the one that was used last first.
pub async fn of_account(conn: &mut PgConnection, account: Uuid) -> sqlx::Result<Vec<Listed>> {
    sqlx::query_as!(
        Listed,
        "select id, created_at, seen_at, address, user_agent from identity.sessions
         where user_id = $1 and seen_at > queue.now() - make_interval(secs => $2)
           and created_at > queue.now() - make_interval(secs => $3)
         order by seen_at desc, id",
        account,
        IDLE.as_secs_f64(),
        LONGEST.as_secs_f64()
    )
    .fetch_all(conn)
    .await
}

/// Ends one session of an account; false where it has ended.
pub async fn end_one(conn: &mut PgConnection, account: Uuid, id: Uuid) -> sqlx::Result<bool> {
    let ended = sqlx::query!("delete from identity.sessions where user_id = $1 and id = $2", account, id)
        .execute(conn)
        .await?;
    Ok(ended.rows_affected() > 0)
}
