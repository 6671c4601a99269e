//! Accounts are made and changed; each change is written down with it.

use anyhow::{Context, bail};
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use weirgate_identity::accounts::{self, Account, AccountsError, New};
use weirgate_identity::audit::{Actor, Change, Subject};
use weirgate_identity::roles::Roles;
use weirgate_identity::{admins, invitations, memberships, platform};

use super::Password;
use crate::cli::{About, Place, Users};
use crate::commands::tenant::tenant;
use crate::config::Config;
use crate::output::say;
use crate::random;

/// What changes are checked against.
#[derive(Clone, Copy)]
pub(super) struct Base<'a> {
    pub(super) roles: &'a Roles,
    pub(super) config: &'a Config,
}

pub(super) async fn apply(
    command: Users,
    password: &Password,
    base: Base<'_>,
    pool: &PgPool,
) -> anyhow::Result<()> {
    let (email, action, about, more) = match &command {
        Users::Create { email, .. } => (email, "account.create", &[][..], json!(null)),
        Users::Invite { email, .. } => (email, "account.invite", &["disabled"][..], json!(null)),
        Users::Password { email, .. } => {
            (email, "account.password", &["disabled"][..], json!({ "password": "set anew" }))
        }
        Users::Role { email, .. } | Users::Grant { email, .. } => {
            (email, "account.grant", &["platform"][..], json!(null))
        }
        Users::Withdraw { email, .. } => (email, "account.withdraw", &[][..], json!(null)),
        Users::SignOut { email } => (email, "account.sign_out", &["disabled"][..], json!(null)),
        Users::Disable { email } => (email, "account.disable", &["disabled"][..], json!(null)),
        Users::Enable { email } => (email, "account.enable", &["disabled"][..], json!(null)),
        Users::List { .. } | Users::Roles => unreachable!("they change nothing"),
    };
    let email = email.trim().to_owned();
    // Found before anything is held.
    let place = place_of(&command, base.roles, pool).await?;
    let mut tx = pool.begin().await?;
    let noted = Change::begin(&mut tx, Subject::Account(&email)).await?;
    keep_an_admin(&mut tx, &command, &email, &place.app).await?;
    let said = change(&mut tx, command, password, &place, base.config).await?;
    noted.note_with(&mut tx, &Actor::cli(), action, about, more).await?;
    tx.commit().await?;
    say!("{said}")
}

/// Refuses what would take the last admin away.
async fn keep_an_admin(tx: &mut PgConnection, command: &Users, email: &str, app: &str) -> anyhow::Result<()> {
    let takes_one_away = match command {
        Users::Disable { .. } => true,
        Users::Withdraw { .. } => app == platform::APP,
        Users::Role { role, .. } => admins::ends_with(platform::APP, role.as_str()),
        Users::Grant { role, .. } | Users::Invite { role: Some(role), .. } => admins::ends_with(app, role),
        _ => false,
    };
    if takes_one_away {
        match accounts::id_of(tx, email).await {
            Ok(account) => admins::require_another(tx, account).await?,
            // Said by the change itself, or made by it.
            Err(AccountsError::Unknown(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Where a role counts, if one is named.
struct Placed {
    app: String,
    tenant: Option<Uuid>,
    /// For people.
    words: String,
}

async fn place_of(command: &Users, roles: &Roles, pool: &PgPool) -> anyhow::Result<Placed> {
    let (place, role) = match command {
        Users::Create { place, role, .. } | Users::Grant { place, role, .. } => (place, Some(role)),
        Users::Invite { place, role, .. } => (place, role.as_ref()),
        Users::Withdraw { place, .. } => (place, None),
        _ => {
            let (app, words) = (platform::APP.to_owned(), String::new());
            return Ok(Placed { app, tenant: None, words });
        }
    };
    let Place { app, tenant: named } = place;
    let named = match named {
        Some(named) => Some(tenant(pool, named).await?),
        None => None,
    };
    let id = named.as_ref().map(|tenant| tenant.id);
    if let Some(role) = role {
        memberships::check(roles, app, role, id)?;
    }
    let words = match named {
        Some(tenant) => format!("{app} of {}", tenant.slug.0),
        None if app == platform::APP => "the dashboard".to_owned(),
        None => app.clone(),
    };
    Ok(Placed { app: app.clone(), tenant: id, words })
}

async fn change(
    tx: &mut PgConnection,
    command: Users,
    password: &Password,
    place: &Placed,
    config: &Config,
) -> anyhow::Result<String> {
    let Placed { app, tenant, words } = place;
    Ok(match command {
        Users::Create { email, role, about: About { name, locale }, .. } => {
            let text = (!password.is_hash).then_some(password.text.as_str());
            let new = New { email: &email, full_name: &name, locale: &locale, password: text };
            let account = accounts::create(tx, new).await?;
            if password.is_hash {
                accounts::store_password(tx, account.id, &password.text, None, None).await?;
            }
            memberships::give(tx, account.id, app, *tenant, &role).await?;
            format!("{}\t{role} of {words}{}", account.email, password.shown())
        }
        Users::Invite { email, role, about, .. } => {
            let account = found_or_made(tx, &email, about, role.is_some()).await?;
            if let Some(role) = role {
                memberships::give(tx, account, app, *tenant, &role).await?;
            }
            let token = random::text();
            invitations::create(tx, account, &token, Actor::cli().name()).await?;
            let base = config.public_url.as_deref().map_or_else(
                || format!("http://{}", config.listen),
                |url| url.trim_end_matches('/').to_owned(),
            );
            format!("{base}/account/invitation?token={token}")
        }
        Users::Password { email, .. } => {
            accounts::set_password(&mut *tx, &email, &password.text).await?;
            format!("{email}{}", password.shown())
        }
        Users::Role { email, role } => {
            platform::set_role(&mut *tx, &email, role).await?;
            format!("{email} now has the role {} and must sign in again", role.as_str())
        }
        Users::Grant { email, role, .. } => {
            let account = account(tx, &email).await?;
            memberships::give(tx, account, app, *tenant, &role).await?;
            format!("{email} now has the role {role} of {words}")
        }
        Users::Withdraw { email, .. } => {
            let account = account(tx, &email).await?;
            if !memberships::withdraw(tx, account, app, *tenant).await? {
                bail!("{email} has no role of {words}; `weirgate users list` shows those that there are");
            }
            format!("{email} has no role of {words} any more")
        }
        Users::SignOut { email } => {
            accounts::sign_out_everywhere(&mut *tx, &email).await?;
            format!("{email} must sign in again everywhere")
        }
        Users::Disable { email } => {
            accounts::disable(&mut *tx, &email).await?;
            format!("{email} is disabled and can no longer sign in")
        }
        Users::Enable { email } => {
            accounts::enable(&mut *tx, &email).await?;
            format!("{email} can sign in again")
        }
        Users::List { .. } | Users::Roles => unreachable!("they change nothing"),
    })
}

/// Somebody who is invited: there is no account yet, or one is to get another password.
async fn found_or_made(
    tx: &mut PgConnection,
    email: &str,
    about: About,
    has_role: bool,
) -> anyhow::Result<Uuid> {
    match accounts::id_of(tx, email).await {
        Ok(account) => Ok(account),
        Err(AccountsError::Unknown(_)) if has_role => {
            let About { name, locale } = about;
            let new = New { email, full_name: &name, locale: &locale, password: None };
            let Account { id, .. } = accounts::create(tx, new).await?;
            Ok(id)
        }
        Err(error @ AccountsError::Unknown(_)) => {
            Err(error).context("a new account needs a role: add one, such as --role viewer")
        }
        Err(error) => Err(error.into()),
    }
}

async fn account(tx: &mut PgConnection, email: &str) -> anyhow::Result<Uuid> {
    Ok(accounts::id_of(tx, email).await?)
}
