//! `users`: people who sign in to the dashboard.

use std::io::{self, Read};

use anyhow::Context;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::json;

use crate::audit::Actor;
use crate::cli::{GivenPassword, Users};
use crate::config::Config;
use crate::database::Database;
use crate::{random, users};

pub(super) async fn run(command: Users, config: &Config) -> anyhow::Result<()> {
    let database = Database::attach(config, "users").await?;
    let (pool, actor) = (&database.pool, Actor::cli());
    match command {
        Users::Create { email, role, password } => {
            let (given, password) = choose(&password)?;
            let mut tx = pool.begin().await?;
            let user = users::create(&mut *tx, &email, role, &password).await?;
            let detail = json!({ "role": role.as_str() });
            actor.note(&mut tx, "user.create", &user.email, &detail).await?;
            tx.commit().await?;
            println!("{email}\t{}{}", role.as_str(), shown(given, &password));
        }
        Users::Password { email, password } => {
            let (given, password) = choose(&password)?;
            let mut tx = pool.begin().await?;
            users::set_password(&mut *tx, &email, &password).await?;
            actor.note(&mut tx, "user.password", &email, &json!({})).await?;
            tx.commit().await?;
            println!("{email}{}", shown(given, &password));
        }
        Users::Role { email, role } => {
            let mut tx = pool.begin().await?;
            users::set_role(&mut *tx, &email, role).await?;
            actor.note(&mut tx, "user.role", &email, &json!({ "to": role.as_str() })).await?;
            tx.commit().await?;
            println!("{email} is {} from now on, and has to sign in again", role.as_str());
        }
        Users::Disable { email } => {
            let mut tx = pool.begin().await?;
            users::disable(&mut *tx, &email).await?;
            actor.note(&mut tx, "user.disable", &email, &json!({})).await?;
            tx.commit().await?;
            println!("{email} may not sign in from now on");
        }
        Users::List => {
            let mut table = Table::new();
            table.load_style(NOTHING);
            for user in users::list(&mut *pool.acquire().await?).await? {
                let state = if user.disabled_at.is_some() { "disabled" } else { "" };
                table.add_row([user.email.as_str(), user.role.as_str(), state]);
            }
            println!("{table}");
        }
    }
    database.close().await
}

/// Whether it was given, and the password.
fn choose(password: &GivenPassword) -> anyhow::Result<(bool, String)> {
    if !password.password_stdin {
        return Ok((false, users::new_password(&mut random::generator())));
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).context("reading the password from standard input")?;
    Ok((true, text.trim_end_matches(['\n', '\r']).to_owned()))
}

fn shown(given: bool, password: &str) -> String {
    if given { String::new() } else { format!("\tpassword {password}   (shown this once)") }
}
