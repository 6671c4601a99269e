//! Accounts with what they may do, as lists show them.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::AccountsError;
use crate::platform;

/// A line of the list of accounts.
#[derive(Debug, Clone)]
pub struct Listed {
    pub id: Uuid,
    /// What they sign in with.
    pub email: String,
    /// For people; empty where it is not known.
    pub full_name: String,
    /// The language that they are written to in.
    pub locale: String,
    /// Whether they have chosen a password, or were given one.
    pub has_password: bool,
    /// When the account was made.
    pub created_at: DateTime<Utc>,
    /// Since when they may not sign in.
    pub disabled_at: Option<DateTime<Utc>>,
    /// Until when an invitation is good that they have not followed.
    pub invited_until: Option<DateTime<Utc>>,
    /// When they were last signed in, as far as a session or a grant that is still there tells.
    pub last_used_at: Option<DateTime<Utc>>,
    /// What they may do.
    pub memberships: Json<Vec<ListedMembership>>,
}

/// One of their memberships.
#[derive(Debug, Clone, Deserialize)]
pub struct ListedMembership {
    pub id: Uuid,
    /// `platform`, or the name of a domain.
    pub app: String,
    /// What they may do there.
    pub role: String,
    pub tenant_id: Option<Uuid>,
    /// The slug of the tenant.
    pub tenant: Option<String>,
    /// Since when it counts for nothing.
    pub disabled_at: Option<DateTime<Utc>>,
}

impl Listed {
    /// How it stands, for people.
    pub fn state(&self) -> &'static str {
        match (self.disabled_at, self.has_password, self.invited_until) {
            (Some(_), ..) => "disabled",
            (None, true, _) => "active",
            (None, false, Some(_)) => "invited",
            (None, false, None) => "no password",
        }
    }

    /// What they may do now.
    pub fn roles(&self) -> impl Iterator<Item = &ListedMembership> {
        self.memberships.iter().filter(|it| it.disabled_at.is_none())
    }

    /// The same, for people.
    pub fn roles_in_words(&self) -> String {
        self.roles().map(ListedMembership::words).collect::<Vec<_>>().join(", ")
    }
}

impl ListedMembership {
    /// Such as `reader of msp of acme`; on the dashboard the role alone.
    pub fn words(&self) -> String {
        let Self { app, role, .. } = self;
        match &self.tenant {
            None if app == platform::APP => role.clone(),
            None => format!("{role} of {app}"),
            Some(tenant) => format!("{role} of {app} of {tenant}"),
        }
    }
}

/// Accounts, by email.
///
/// # Errors
/// When the database cannot be asked.
pub async fn list(conn: &mut PgConnection) -> sqlx::Result<Vec<Listed>> {
    page(conn, None, None, "", i64::MAX).await
}

/// At most `limit` of them after that email, those alone whose email or name holds `text`.
pub async fn find(
    conn: &mut PgConnection,
    text: Option<&str>,
    after: &str,
    limit: i64,
) -> sqlx::Result<Vec<Listed>> {
    page(conn, None, text, after, limit).await
}

/// One of them.
pub async fn get(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Listed>> {
    Ok(page(conn, Some(id), None, "", 1).await?.pop())
}

async fn page(
    conn: &mut PgConnection,
    id: Option<Uuid>,
    text: Option<&str>,
    after: &str,
    limit: i64,
) -> sqlx::Result<Vec<Listed>> {
    sqlx::query_as!(
        Listed,
        r#"select a.id, a.email, a.full_name, a.locale, a.password_hash is not null as "has_password!",
            a.created_at, a.disabled_at,
            (select max(expires_at) from identity.invitations i
             where i.account_id = a.id and i.used_at is null and i.expires_at > queue.now()) as invited_until,
            greatest((select max(seen_at) from identity.sessions s where s.user_id = a.id),
                     (select max(used_at) from identity.grants g where g.account_id = a.id)) as last_used_at,
            coalesce((
                select jsonb_agg(jsonb_build_object('id', m.id, 'app', m.app, 'role', m.role, 'tenant_id', m.tenant_id,
                        'tenant', t.slug, 'disabled_at', m.disabled_at)
                    order by m.app <> 'platform', m.app, t.slug)
                from identity.memberships m left join identity.tenants t on t.id = m.tenant_id
                where m.account_id = a.id
            ), '[]') as "memberships!: Json<Vec<ListedMembership>>"
           from identity.accounts a
           where ($1::uuid is null or a.id = $1) and lower(a.email) > lower($3)
             and ($2::text is null or strpos(lower(a.email), lower($2)) > 0 or strpos(lower(a.full_name), lower($2)) > 0)
           order by lower(a.email) limit $4"#,
        id,
        text,
        after,
        limit
    )
    .fetch_all(conn)
    .await
}

/// The id of the account with that email.
///
/// # Errors
/// [`AccountsError::Unknown`], [`AccountsError::Database`].
pub async fn id_of(conn: &mut PgConnection, email: &str) -> Result<Uuid, AccountsError> {
    let found =
        sqlx::query_scalar!("select id from identity.accounts where lower(email) = lower($1)", email.trim());
    found.fetch_optional(conn).await?.ok_or_else(|| AccountsError::Unknown(email.trim().to_owned()))
}
