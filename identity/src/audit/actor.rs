//! Who acts, by which way, and from where.

use std::net::IpAddr;

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::via::Via;

/// Somebody who does something.
#[derive(Debug, Clone)]
pub struct Actor {
    name: String,
    via: Via,
    address: Option<IpAddr>,
}

/// Which of the service's tokens a request came with. One is told from its successor by the
/// beginning of its SHA-256, which tells nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceToken {
    pub hash: [u8; 32],
    /// Whether it is the one that is to take the other's place.
    pub is_next: bool,
}

impl Actor {
    /// Somebody who is signed in to the dashboard.
    pub fn user(email: &str, address: Option<IpAddr>) -> Self {
        Self { name: email.to_owned(), via: Via::Dashboard, address }
    }

    /// Somebody who signs in, or manages their own account.
    pub fn account(email: &str, address: Option<IpAddr>) -> Self {
        Self { name: email.to_owned(), via: Via::Account, address }
    }

    /// Whoever has a token of the service.
    pub fn service(token: ServiceToken, address: Option<IpAddr>) -> Self {
        let which = if token.is_next { "next service token" } else { "service token" };
        let name = format!("{which} {}", hex::encode(&token.hash[..4]));
        Self { name, via: Via::Internal, address }
    }

    /// The account of this machine that runs a command, and behind it whoever took it over with
    /// sudo.
    pub fn cli() -> Self {
        let uid = rustix::process::getuid().as_raw();
        let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let account = account_name(&accounts, uid).unwrap_or_else(|| format!("account {uid}"));
        let uname = rustix::system::uname();
        let host = uname.nodename().to_string_lossy();
        let name = on_host(&account, std::env::var("SUDO_USER").ok().as_deref(), &host);
        Self { name, via: Via::Cli, address: None }
    }

    /// As the audit names it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Notes that this one did `action` to `target`, which concerns `tenant` alone, if any.
    pub async fn note(
        &self,
        conn: &mut PgConnection,
        action: &str,
        target: &str,
        tenant: Option<Uuid>,
        detail: &Value,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into identity.audit (actor, via, address, action, target, tenant_id, detail) values ($1, $2, $3, $4, $5, $6, $7)",
            self.name,
            self.via.as_str(),
            self.address.map(|address| address.to_string()),
            action,
            target,
            tenant,
            detail
        )
        .execute(conn)
        .await?;
        Ok(())
    }
}

/// The name of an account in the text of `/etc/passwd`.
fn account_name(accounts: &str, uid: u32) -> Option<String> {
    let mut lines = accounts.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// `ada@host`; with sudo `ada (as root)@host`. What sudo says is anybody's to set, so that the
/// account itself is always told.
fn on_host(account: &str, sudo_user: Option<&str>, host: &str) -> String {
    let is_name = |name: &&str| {
        !name.is_empty() && name.len() <= 256 && !name.chars().any(|it| it.is_control() || it.is_whitespace())
    };
    match sudo_user.filter(is_name).filter(|name| *name != account) {
        Some(person) => format!("{person} (as {account})@{host}"),
        None => format!("{account}@{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_number() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\n\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(account_name(accounts, 1000).as_deref(), Some("ada"));
        assert_eq!(account_name(accounts, 100), None);
    }

    #[test]
    fn who_uses_sudo_is_told_and_so_is_the_account() {
        assert_eq!(on_host("ada", None, "db1"), "ada@db1");
        assert_eq!(on_host("root", Some("ada"), "db1"), "ada (as root)@db1");
        assert_eq!(on_host("mallory", Some("ada"), "db1"), "ada (as mallory)@db1");
        for nobody in ["", "root", "ada\nroot", "ada root"] {
            assert_eq!(on_host("root", Some(nobody), "db1"), "root@db1", "{nobody:?}");
        }
    }

    #[test]
    fn a_token_is_told_from_its_successor_and_not_given_away() {
        let of = |hash, is_next| Actor::service(ServiceToken { hash, is_next }, None).name;
        assert_eq!(of([0xab; 32], false), "service token abababab");
        assert_eq!(of([0xcd; 32], true), "next service token cdcdcdcd");
    }
}
