//! Accounts, apps and roles, as tables.

use serde_json::json;
use sqlx::PgPool;
use weirgate_identity::accounts::{self, Listed, ListedMembership};
use weirgate_identity::roles::Roles;

use crate::commands::table::{instant, say_table, table};
use crate::output::say;

pub(super) async fn accounts(pool: &PgPool, as_json: bool) -> anyhow::Result<()> {
    let all = accounts::list(&mut *pool.acquire().await?).await?;
    if as_json {
        for account in all {
            say!("{}", json_of(&account))?;
        }
        return Ok(());
    }
    let mut table = table(&["EMAIL", "NAME", "ROLES", "STATE", "CREATED", "LAST USED"]);
    for account in all {
        let counts = account.memberships.iter().filter(|it| it.disabled_at.is_none());
        let roles: Vec<String> = counts.map(words).collect();
        let used = account.last_used_at.map_or_else(|| "-".to_owned(), instant);
        let state = state(&account).to_owned();
        let row =
            [account.email, account.full_name, roles.join(", "), state, instant(account.created_at), used];
        table.add_row(row);
    }
    say_table(&table, "there are no accounts yet")
}

/// Such as `reader of msp of acme`; on the dashboard the role alone.
fn words(membership: &ListedMembership) -> String {
    match &membership.tenant {
        None if membership.app == "platform" => membership.role.clone(),
        None => format!("{} of {}", membership.role, membership.app),
        Some(tenant) => format!("{} of {} of {tenant}", membership.role, membership.app),
    }
}

fn state(account: &Listed) -> &'static str {
    match (account.disabled_at, account.has_password, account.invited_until) {
        (Some(_), ..) => "disabled",
        (None, true, _) => "active",
        (None, false, Some(_)) => "invited",
        (None, false, None) => "no password",
    }
}

fn json_of(account: &Listed) -> serde_json::Value {
    let memberships: Vec<_> = account
        .memberships
        .iter()
        .map(|it| {
            json!({ "app": it.app, "role": it.role, "tenant": it.tenant, "tenant_id": it.tenant_id,
                "disabled_at": it.disabled_at })
        })
        .collect();
    json!({
        "id": account.id, "email": account.email, "full_name": account.full_name, "locale": account.locale,
        "state": state(account), "memberships": memberships, "created_at": account.created_at,
        "disabled_at": account.disabled_at, "last_used_at": account.last_used_at,
        "invited_until": account.invited_until,
    })
}

pub(super) fn roles(roles: &Roles) -> anyhow::Result<()> {
    let mut table = table(&["APP", "ROLE", "OF", "WHAT IT DOES", "SCOPES"]);
    for app in roles.apps() {
        for role in app.roles {
            let of = if role.of_tenant { "one tenant" } else { "all" };
            table.add_row([app.app, role.name, of, role.text, &role.scopes.join(" ")]);
        }
    }
    say_table(&table, "there are no roles")
}
