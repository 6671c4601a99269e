//! `users`.

use clap::{Args, Subcommand};
use weirgate_identity::platform::Role;

use super::values;

/// What can be done with accounts: people who sign in, to the dashboard or to a domain.
#[derive(Debug, Subcommand)]
pub enum Users {
    /// Create an account with a role on the dashboard, or in a domain (--app); unless a password is
    /// given, one is generated and printed (it is not shown again)
    #[command(after_help = "\
Examples:
  weirgate users create ada@example.com --role operator
  weirgate users create ada@example.com --password-stdin < password.txt
  weirgate users create ada@example.com --password-hash-stdin < bcrypt.txt
  weirgate users create grace@acme.example --app msp --tenant acme --role reader")]
    Create {
        /// What they sign in with
        email: String,
        /// Role: on the dashboard, viewer reads, operator also acts on jobs and queues, admin also
        /// sets limits and manages accounts; `weirgate users roles` lists those of domains
        #[arg(long, default_value = "viewer")]
        role: String,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        about: About,
        #[command(flatten)]
        password: GivenPassword,
        /// Read the hash of a password from standard input, as another system has it: bcrypt of a
        /// cost up to 14, or Argon2; it is replaced at the first sign-in
        #[arg(long, conflicts_with = "password_stdin")]
        password_hash_stdin: bool,
    },
    /// Create an account without a password, or take one that there is, and print a link by which
    /// its owner chooses a password; it is good for 72 hours and once
    #[command(after_help = "\
Examples:
  weirgate users invite ada@example.com --role operator
  weirgate users invite grace@acme.example --app msp --tenant acme --role reader
  weirgate users invite ada@example.com           # another password for an account that there is")]
    Invite {
        /// What they sign in with
        email: String,
        /// Role that they get; without it, they keep those that they have
        #[arg(long)]
        role: Option<String>,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        about: About,
    },
    /// List the accounts and what they may do
    #[command(after_help = "Examples:\n  weirgate users list\n  weirgate users list --json")]
    List {
        /// Print JSON, one account a line
        #[arg(long)]
        json: bool,
    },
    /// List the apps, their roles and the scopes of each
    #[command(after_help = "Example:\n  weirgate users roles")]
    Roles,
    /// Set an account's password and end its sign-ins; a disabled account can sign in again
    #[command(after_help = "Example:\n  weirgate users password ada@example.com")]
    Password {
        /// The account
        email: String,
        #[command(flatten)]
        password: GivenPassword,
    },
    /// Change an account's role on the dashboard and end its sessions
    #[command(after_help = "Example:\n  weirgate users role ada@example.com admin")]
    Role {
        /// The account
        email: String,
        /// The new role
        #[arg(value_parser = values::role())]
        role: Role,
    },
    /// Give an account a role in a domain, or another one than it has there
    #[command(
        after_help = "Example:\n  weirgate users grant grace@acme.example --app msp --tenant acme --role reader"
    )]
    Grant {
        /// The account
        email: String,
        /// The role
        #[arg(long)]
        role: String,
        #[command(flatten)]
        place: Place,
    },
    /// Take a role away; tokens with it are refused within 5 seconds
    #[command(
        after_help = "Examples:\n  weirgate users withdraw grace@acme.example --app msp --tenant acme\n  weirgate users withdraw ada@example.com"
    )]
    Withdraw {
        /// The account
        email: String,
        #[command(flatten)]
        place: Place,
    },
    /// End all sign-ins of an account: its sessions and its tokens
    #[command(after_help = "Example:\n  weirgate users sign-out ada@example.com")]
    SignOut {
        /// The account
        email: String,
    },
    /// Disable an account and end its sign-ins
    #[command(after_help = "Example:\n  weirgate users disable ada@example.com")]
    Disable {
        /// The account
        email: String,
    },
    /// Let a disabled account sign in again, with the password that it had
    #[command(after_help = "Example:\n  weirgate users enable ada@example.com")]
    Enable {
        /// The account
        email: String,
    },
}

/// Where a role counts.
#[derive(Debug, Args)]
pub struct Place {
    /// App: platform (the dashboard), or a domain
    #[arg(long, default_value = "platform")]
    pub app: String,
    /// Slug or UUID of the tenant, for roles that are about one
    #[arg(long)]
    pub tenant: Option<String>,
}

/// What is known of somebody.
#[derive(Debug, Args)]
pub struct About {
    /// Name for people
    #[arg(long, default_value = "")]
    pub name: String,
    /// Language that they are written to in, such as fr or pt-BR
    #[arg(long, default_value = "en")]
    pub locale: String,
}

/// Where a password comes from.
#[derive(Debug, Args)]
pub struct GivenPassword {
    /// Read the password from standard input
    #[arg(long)]
    pub password_stdin: bool,
}
