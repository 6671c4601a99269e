//! `users`: people who sign in to the dashboard.

use std::io::{self, IsTerminal};

use anyhow::Context;
use serde_json::json;
use sqlx::PgPool;
use weirgate_identity::audit::{Actor, Change, Subject};
use weirgate_identity::users;

use super::blocking::blocking;
use super::session::Session;
use super::table::{instant, say_table, table};
use crate::cli::{GivenPassword, Users};
use crate::output::{say, tell};
use crate::random;

pub(super) async fn run(command: Users, session: &Session) -> anyhow::Result<()> {
    // Before anything is started: somebody may be asked for it.
    let password = match &command {
        Users::Create { password, .. } | Users::Password { password, .. } => {
            Some(session.stop.until_told(choose(password)).await?)
        }
        _ => None,
    };
    let (given, password) = password.unwrap_or_default();
    session
        .with_database("users", async |database| act(command, given, &password, &database.pool).await)
        .await
}

async fn act(command: Users, given: bool, password: &str, pool: &PgPool) -> anyhow::Result<()> {
    if matches!(command, Users::List) {
        return list(pool).await;
    }
    let actor = Actor::cli();
    let mut tx = pool.begin().await?;
    let said = match command {
        Users::Create { email, role, .. } => {
            let noted = Change::begin(&mut tx, Subject::User(email.trim())).await?;
            users::create(&mut *tx, &email, role, password).await?;
            noted.note(&mut tx, &actor, "user.create", &[]).await?;
            format!("{email}\t{}{}", role.as_str(), shown(given, password))
        }
        Users::Password { email, .. } => {
            let noted = Change::begin(&mut tx, Subject::User(email.trim())).await?;
            users::set_password(&mut *tx, &email, password).await?;
            let more = json!({ "password": "set anew" });
            noted.note_with(&mut tx, &actor, "user.password", &["disabled"], more).await?;
            format!("{email}{}", shown(given, password))
        }
        Users::Role { email, role } => {
            let noted = Change::begin(&mut tx, Subject::User(email.trim())).await?;
            users::set_role(&mut *tx, &email, role).await?;
            noted.note(&mut tx, &actor, "user.role", &["role"]).await?;
            format!("{email} now has the role {} and must sign in again", role.as_str())
        }
        Users::Disable { email } => {
            let noted = Change::begin(&mut tx, Subject::User(email.trim())).await?;
            users::disable(&mut *tx, &email).await?;
            noted.note(&mut tx, &actor, "user.disable", &["disabled"]).await?;
            format!("{email} is disabled and can no longer sign in")
        }
        Users::List => unreachable!("it is done above"),
    };
    tx.commit().await?;
    say!("{said}")
}

async fn list(pool: &PgPool) -> anyhow::Result<()> {
    let mut table = table(&["EMAIL", "ROLE", "STATE", "CREATED"]);
    for user in users::list(&mut *pool.acquire().await?).await? {
        let state = if user.disabled_at.is_some() { "disabled" } else { "active" };
        table.add_row([user.email.as_str(), user.role.as_str(), state, &instant(user.created_at)]);
    }
    say_table(&table, "there are no users yet")
}

/// Whether it was given, and the password.
async fn choose(password: &GivenPassword) -> anyhow::Result<(bool, String)> {
    if !password.password_stdin {
        return Ok((false, users::new_password(&mut random::generator())));
    }
    if io::stdin().is_terminal() {
        tell!("Type the password, then press Ctrl-D:");
    }
    let text = blocking(|| io::read_to_string(io::stdin())).await?;
    let text = text.context("reading the password from standard input")?;
    Ok((true, text.trim_end_matches(['\n', '\r']).to_owned()))
}

fn shown(given: bool, password: &str) -> String {
    if given { String::new() } else { format!("\tpassword {password}   (shown this once)") }
}
