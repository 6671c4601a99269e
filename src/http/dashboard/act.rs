//! What is done is written down with who did it, in the same transaction.

use serde_json::Value;
use sqlx::PgConnection;

use crate::users::User;

/// Notes that `user` did `action` to `target`.
pub(super) async fn note(
    conn: &mut PgConnection,
    user: &User,
    action: &str,
    target: &str,
    detail: &Value,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into audit (actor, action, target, detail) values ($1, $2, $3, $4)",
        user.email,
        action,
        target,
        detail
    )
    .execute(conn)
    .await?;
    Ok(())
}
