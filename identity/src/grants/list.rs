//! The grants of an account, as people see them.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{IDLE, LONGEST};

/// A grant that has not ended.
#[derive(Debug, Clone)]
pub struct Listed {
    pub id: Uuid,
    /// The app that somebody signed in to; `None` for the login of the API.
    pub client: Option<String>,
    /// The app, for people.
    pub client_name: Option<String>,
    /// The domain.
    pub app: String,
    pub role: String,
    /// Slug of the tenant.
    pub tenant: Option<String>,
    /// When they signed in.
    pub created_at: DateTime<Utc>,
    /// When tokens were last given out.
    pub used_at: DateTime<Utc>,
    /// Where the sign-in came from, if that is known.
    pub address: Option<String>,
    /// What the client called itself.
    pub user_agent: Option<String>,
}

/// The grants of an account, the one that was used last first.
///
/// # Errors
/// When the database cannot answer.
pub async fn of_account(conn: &mut PgConnection, account: Uuid) -> sqlx::Result<Vec<Listed>> {
    sqlx::query_as!(
        Listed,
        r#"select g.id, g.client_id as client, c.name as "client_name?", m.app, m.role, t.slug as "tenant?",
            g.created_at, g.used_at, g.address, g.user_agent
           from identity.grants g
           join identity.accounts a on a.id = g.account_id
           join identity.memberships m on m.id = g.membership_id
           left join identity.tenants t on t.id = m.tenant_id
           left join identity.clients c on c.client_id = g.client_id
           where g.account_id = $1 and g.revoked_at is null and g.token_epoch = a.token_epoch
             and g.used_at > queue.now() - make_interval(secs => $2)
             and g.created_at > queue.now() - make_interval(secs => $3)
           order by g.used_at desc, g.id"#,
        account,
        IDLE.as_secs_f64(),
        LONGEST.as_secs_f64()
    )
    .fetch_all(conn)
    .await
}
