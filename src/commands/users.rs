//! `users`: accounts, and what they may do.

mod change;
mod list;

use std::io::{self, IsTerminal};

use anyhow::Context;
use weirgate_identity::passwords;

use super::blocking::blocking;
use super::session::Session;
use crate::cli::{GivenPassword, Users};
use crate::output::tell;
use crate::random;

pub(super) async fn run(command: Users, session: &Session) -> anyhow::Result<()> {
    // Before anything is started: somebody may be asked for it.
    let password = match &command {
        Users::Create { password, .. } | Users::Password { password, .. } => {
            session.stop.until_told(choose(password)).await?
        }
        _ => Password::default(),
    };
    let roles = session.catalog.roles();
    session
        .with_database("users", async |database| match command {
            Users::List { json } => list::accounts(&database.pool, json).await,
            Users::Roles => list::roles(&roles),
            command => {
                let base = change::Base { roles: &roles, config: &session.config };
                change::apply(command, &password, base, &database.pool).await
            }
        })
        .await
}

/// A password, and whether somebody gave it.
#[derive(Default)]
struct Password {
    text: String,
    given: bool,
}

impl Password {
    /// What is printed of it.
    fn shown(&self) -> String {
        if self.given { String::new() } else { format!("\tpassword {}   (shown this once)", self.text) }
    }
}

async fn choose(password: &GivenPassword) -> anyhow::Result<Password> {
    if !password.password_stdin {
        return Ok(Password { text: passwords::generate(&mut random::generator()), given: false });
    }
    if io::stdin().is_terminal() {
        tell!("Type the password, then press Ctrl-D:");
    }
    let text = blocking(|| io::read_to_string(io::stdin())).await?;
    let text = text.context("reading the password from standard input")?;
    Ok(Password { text: text.trim_end_matches(['\n', '\r']).to_owned(), given: true })
}
