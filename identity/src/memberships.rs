//! What accounts may do, and where.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::platform;
use crate::roles::Roles;

/// A membership that counts.
#[derive(Debug, Clone)]
pub struct Membership {
    pub id: Uuid,
    /// `platform`, or the name of a domain.
    pub app: String,
    pub role: String,
    /// The tenant that it is about, if it is about one.
    pub tenant: Option<TenantOf>,
}

/// The tenant that a membership is about.
#[derive(Debug, Clone)]
pub struct TenantOf {
    pub id: Uuid,
    pub slug: String,
    /// For people.
    pub name: String,
}

/// Why a membership cannot be.
#[derive(Debug, thiserror::Error)]
pub enum MembershipsError {
    /// No such app.
    #[error("there is no app {given:?}; there are: {known}")]
    App { given: String, known: String },
    /// The app has no such role.
    #[error("{app} has no role {given:?}; it has: {known}")]
    Role { app: String, given: String, known: String },
    /// The role is about a tenant, and none is named.
    #[error("the role {role} of {app} is about one tenant: name it")]
    TenantMissing { app: String, role: String },
    /// The role is about no tenant, and one is named.
    #[error("the role {role} of {app} is about no single tenant: name none")]
    TenantNamed { app: String, role: String },
    /// The database cannot answer.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl MembershipsError {
    /// The field that it is about; `None` where it is of nobody's making.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::App { .. } | Self::Role { .. } => Some("role"),
            Self::TenantMissing { .. } | Self::TenantNamed { .. } => Some("tenant"),
            Self::Database(_) => None,
        }
    }
}

/// Refuses a role that an app does not have, or has for another kind of membership.
///
/// # Errors
/// [`MembershipsError`].
pub fn check(roles: &Roles, app: &str, role: &str, tenant: Option<Uuid>) -> Result<(), MembershipsError> {
    let Some(of_app) = roles.app(app) else {
        let known = roles.apps().iter().map(|it| it.app).collect::<Vec<_>>().join(", ");
        return Err(MembershipsError::App { given: app.to_owned(), known });
    };
    let Some(definition) = of_app.role(role) else {
        let known = of_app.roles.iter().map(|it| it.name).collect::<Vec<_>>().join(", ");
        return Err(MembershipsError::Role { app: app.to_owned(), given: role.to_owned(), known });
    };
    let (app, role) = (app.to_owned(), role.to_owned());
    match (definition.of_tenant, tenant) {
        (true, None) => Err(MembershipsError::TenantMissing { app, role }),
        (false, Some(_)) => Err(MembershipsError::TenantNamed { app, role }),
        _ => Ok(()),
    }
}

/// Gives an account a role in an app, or another one than it has there. Who has another role on the
/// platform must sign in again; tokens of the role of before are refused.
///
/// # Errors
/// When the database cannot answer.
pub async fn give(
    conn: &mut PgConnection,
    account: Uuid,
    app: &str,
    tenant: Option<Uuid>,
    role: &str,
) -> sqlx::Result<Uuid> {
    sqlx::query_scalar!(
        "insert into identity.memberships as m (id, account_id, app, tenant_id, role) values ($1, $2, $3, $4, $5)
         on conflict (account_id, app, tenant_id)
         do update set role = excluded.role, disabled_at = null, version = m.version + 1
         returning id",
        Uuid::now_v7(),
        account,
        app,
        tenant,
        role
    )
    .fetch_one(conn)
    .await
}

/// Takes a role away: the membership counts for nothing from now on. False where there is none that
/// counts.
///
/// # Errors
/// When the database cannot answer.
pub async fn withdraw(
    conn: &mut PgConnection,
    account: Uuid,
    app: &str,
    tenant: Option<Uuid>,
) -> sqlx::Result<bool> {
    // What was begun as a member does not go on should the role be given back.
    let ended = sqlx::query_scalar!(
        r#"with ended as (
            update identity.memberships set disabled_at = queue.now(), version = version + 1
            where account_id = $1 and app = $2 and tenant_id is not distinct from $3 and disabled_at is null
            returning id
         ), tokens as (
            update identity.grants set revoked_at = queue.now(), revoked_for = 'withdrawn'
            from ended where membership_id = ended.id and revoked_at is null
         ), sessions as (
            delete from identity.sessions using ended where user_id = $1 and $2 = 'platform'
         )
         select count(*) as "count!" from ended"#,
        account,
        app,
        tenant
    )
    .fetch_one(conn)
    .await?;
    Ok(ended > 0)
}

/// The memberships of an account that count: of active tenants, and not withdrawn. Those of the
/// platform come first.
///
/// # Errors
/// When the database cannot answer.
pub async fn of(conn: &mut PgConnection, account: Uuid) -> sqlx::Result<Vec<Membership>> {
    let rows = sqlx::query!(
        r#"select m.id, m.app, m.role, t.id as "tenant_id?", t.slug as "slug?", t.name as "name?"
           from identity.memberships m left join identity.tenants t on t.id = m.tenant_id
           where m.account_id = $1 and m.disabled_at is null and (m.tenant_id is null or t.is_active)
           order by m.app <> 'platform', m.app, t.slug"#,
        account
    )
    .fetch_all(conn)
    .await?;
    let all = rows.into_iter().map(|row| {
        let tenant = row.tenant_id.zip(row.slug).zip(row.name);
        let tenant = tenant.map(|((id, slug), name)| TenantOf { id, slug, name });
        Membership { id: row.id, app: row.app, role: row.role, tenant }
    });
    Ok(all.collect())
}

/// Those of them that tokens are given out for: all but the platform's, of apps and roles that this
/// process knows.
pub fn for_tokens(all: Vec<Membership>, roles: &Roles) -> Vec<Membership> {
    let is_known = |it: &Membership| it.app != platform::APP && roles.role(&it.app, &it.role).is_some();
    all.into_iter().filter(is_known).collect()
}

/// The role on the platform, if there is one.
pub fn on_platform(all: &[Membership]) -> Option<platform::Role> {
    all.iter().find(|it| it.app == platform::APP).and_then(|it| platform::Role::named(&it.role))
}
