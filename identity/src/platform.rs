//! The platform itself as an app: the roles of people who use the dashboard.

use rand::rngs::StdRng;
use serde_json::json;
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use crate::accounts::{AccountsError, email};
use crate::audit::Actor;
use crate::passwords;
use crate::roles::{AppRoles, RoleDefinition};

/// What memberships of the dashboard call it.
pub const APP: &str = "platform";

/// What somebody may do on the dashboard; each may do what those before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Acts on jobs and queues.
    Operator,
    /// Sets limits, and says who may do what.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// The name in the database and on pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// The roles as other apps have theirs. They have no scopes: no token is given out for them.
pub static ROLES: AppRoles = AppRoles {
    app: APP,
    text: "the dashboard",
    roles: &[
        RoleDefinition { name: "viewer", text: "looks at everything", of_tenant: false, scopes: &[] },
        RoleDefinition {
            name: "operator",
            text: "also acts on jobs, queues and tenants' lanes",
            of_tenant: false,
            scopes: &[],
        },
        RoleDefinition {
            name: "admin",
            text: "also sets limits, and manages tenants, keys and accounts",
            of_tenant: false,
            scopes: &[],
        },
    ],
};

/// Somebody who uses the dashboard.
#[derive(Debug, Clone)]
pub struct User {
    /// Their account.
    pub id: Uuid,
    /// What they sign in with.
    pub email: String,
    /// What they may do.
    pub role: Role,
}

/// Makes an account with a role on the platform.
///
/// # Errors
/// [`AccountsError`].
pub async fn create(
    conn: impl PgExecutor<'_>,
    address: &str,
    role: Role,
    password: &str,
) -> Result<User, AccountsError> {
    let address = email(address)?;
    let hash = passwords::hash(password).await?;
    let id = Uuid::now_v7();
    let made = sqlx::query!(
        "with made as (
            insert into identity.accounts (id, email, password_hash) values ($1, $2, $3)
            on conflict (lower(email)) do nothing returning id
         )
         insert into identity.memberships (id, account_id, app, role) select $4, id, 'platform', $5 from made",
        id,
        address,
        hash,
        Uuid::now_v7(),
        role.as_str()
    )
    .execute(conn)
    .await?
    .rows_affected();
    if made == 0 {
        return Err(AccountsError::Exists(address.to_owned()));
    }
    Ok(User { id, email: address.to_owned(), role })
}

/// Gives an account another role on the platform, or its first one, and ends its sessions.
///
/// # Errors
/// [`AccountsError::Unknown`], [`AccountsError::Database`].
pub async fn set_role(conn: impl PgExecutor<'_>, email: &str, role: Role) -> Result<(), AccountsError> {
    let changed = sqlx::query!(
        "with account as (
            select id from identity.accounts where lower(email) = lower($1)
         ), ended as (
            delete from identity.sessions using account where user_id = account.id
         )
         insert into identity.memberships as m (id, account_id, app, role)
         select $3, id, 'platform', $2 from account
         on conflict (account_id, app, tenant_id)
         do update set role = excluded.role, disabled_at = null, version = m.version + 1",
        email.trim(),
        role.as_str(),
        Uuid::now_v7()
    )
    .execute(conn)
    .await?;
    if changed.rows_affected() == 0 { Err(AccountsError::Unknown(email.to_owned())) } else { Ok(()) }
}

/// Makes the first account of an empty table, an admin; `None` where there is one already.
///
/// # Errors
/// [`AccountsError`].
pub async fn create_first(pool: &PgPool, rng: &mut StdRng) -> Result<Option<(User, String)>, AccountsError> {
    let any = sqlx::query_scalar!(r#"select exists (select from identity.accounts) as "any!""#)
        .fetch_one(pool)
        .await?;
    if any {
        return Ok(None);
    }
    let password = passwords::generate(rng);
    let mut tx = pool.begin().await?;
    match create(&mut *tx, "admin@weirgate.local", Role::Admin, &password).await {
        Ok(user) => {
            let made = json!({ "platform": user.role.as_str(), "disabled": false });
            let detail = json!({ "before": null, "after": made });
            Actor::cli().note(&mut tx, "account.create", &user.email, None, &detail).await?;
            tx.commit().await?;
            Ok(Some((user, password)))
        }
        // Another process was quicker.
        Err(AccountsError::Exists(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
