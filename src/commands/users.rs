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
        Users::Create { password_hash_stdin: true, .. } => {
            let hash = session.stop.until_told(read("the hash")).await?;
            passwords::check_hash(&hash)?;
            Password { text: hash, given: true, is_hash: true }
        }
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
    /// Whether it is what another system has stored of it.
    is_hash: bool,
}

impl Password {
    /// What is printed of it.
    fn shown(&self) -> String {
        if self.given { String::new() } else { format!("\tpassword {}   (shown this once)", self.text) }
    }
}

async fn choose(password: &GivenPassword) -> anyhow::Result<Password> {
    if !password.password_stdin {
        let text = passwords::generate(&mut random::generator());
        return Ok(Password { text, given: false, is_hash: false });
    }
    Ok(Password { text: read("the password").await?, given: true, is_hash: false })
}

/// What standard input holds, without the end of its line.
async fn read(what: &str) -> anyhow::Result<String> {
    if io::stdin().is_terminal() {
        tell!("Type {what}, then press Ctrl-D:");
    }
    let text = blocking(|| io::read_to_string(io::stdin())).await?;
    let text = text.with_context(|| format!("reading {what} from standard input"))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}
