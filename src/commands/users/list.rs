//! Accounts, apps and roles, as tables.

use serde_json::json;
use sqlx::PgPool;
use weirgate_identity::accounts::{self, Listed};
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
        let roles = account.roles_in_words();
        let used = account.last_used_at.map_or_else(|| "-".to_owned(), instant);
        let state = account.state().to_owned();
        let row = [account.email, account.full_name, roles, state, instant(account.created_at), used];
        table.add_row(row);
    }
    say_table(&table, "there are no accounts yet")
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
        "state": account.state(), "memberships": memberships, "created_at": account.created_at,
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
