//! Those who say who may do what. One of them stays: without any, nobody could make another.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::platform::{self, Role};

/// Why an account stays an admin.
#[derive(Debug, thiserror::Error)]
pub enum AdminsError {
    /// Nobody else could make admins.
    #[error(
        "{0} is the last admin who can sign in, and without one nobody could manage accounts: make another \
         account an admin first"
    )]
    Last(String),
    /// The database cannot answer.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Whether somebody who gets `role` in `app` is no admin afterwards, though they may be one now.
pub fn ends_with(app: &str, role: &str) -> bool {
    app == platform::APP && role != Role::Admin.as_str()
}

/// Refuses to take away the last admin, before the account is disabled or loses the role. Of two
/// who do that at once, one waits here until the other's transaction has ended.
///
/// # Errors
/// [`AdminsError`].
pub async fn require_another(conn: &mut PgConnection, account: Uuid) -> Result<(), AdminsError> {
    // Named after this rule alone; it ends with the transaction.
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('identity.admins', 0)) as lock")
        .execute(&mut *conn)
        .await?;
    // Who has no password cannot sign in yet.
    let last = sqlx::query_scalar!(
        r#"with admins as (
            select a.id, a.email from identity.accounts a
            join identity.memberships m on m.account_id = a.id
            where m.app = 'platform' and m.role = 'admin' and m.disabled_at is null
              and a.disabled_at is null and a.password_hash is not null
         )
         select email from admins where id = $1 and (select count(*) from admins) = 1"#,
        account
    )
    .fetch_optional(conn)
    .await?;
    last.map_or(Ok(()), |email| Err(AdminsError::Last(email)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_role_on_the_dashboard_ends_that_of_an_admin() {
        assert!(ends_with("platform", "viewer") && !ends_with("platform", "admin"));
        assert!(!ends_with("msp", "reader"));
    }
}
