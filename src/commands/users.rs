//! `users`: people who sign in to the dashboard.

use std::io::{self, Read};

use anyhow::Context;
use comfy_table::Table;
use comfy_table::presets::NOTHING;

use crate::cli::{GivenPassword, Users};
use crate::config::Config;
use crate::database::Database;
use crate::{random, users};

pub(super) async fn run(command: Users, config: &Config) -> anyhow::Result<()> {
    let database = Database::attach(config, "users").await?;
    let pool = &database.pool;
    match command {
        Users::Create { email, role, password } => {
            let (given, password) = choose(&password)?;
            users::create(pool, &email, role, &password).await?;
            println!("{email}\t{}{}", role.as_str(), shown(given, &password));
        }
        Users::Password { email, password } => {
            let (given, password) = choose(&password)?;
            users::set_password(pool, &email, &password).await?;
            println!("{email}{}", shown(given, &password));
        }
        Users::Disable { email } => {
            users::disable(pool, &email).await?;
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
