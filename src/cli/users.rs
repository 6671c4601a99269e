//! `users`.

use clap::{Args, Subcommand};
use weirgate_identity::users::Role;

use super::values;

/// What can be done with users of the dashboard.
#[derive(Debug, Subcommand)]
pub enum Users {
    /// Create a user; unless a password is given, one is generated and printed (it is not shown
    /// again)
    #[command(
        after_help = "Examples:\n  weirgate users create ada@example.com --role operator\n  weirgate users create ada@example.com --password-stdin < password.txt"
    )]
    Create {
        /// What they sign in with
        email: String,
        /// Role: viewer reads, operator also acts on jobs and queues, admin also sets limits
        #[arg(long, value_parser = values::role(), default_value = "viewer")]
        role: Role,
        #[command(flatten)]
        password: GivenPassword,
    },
    /// List the users
    #[command(after_help = "Example:\n  weirgate users list")]
    List,
    /// Set a user's password and end their sessions; a disabled user can sign in again
    #[command(after_help = "Example:\n  weirgate users password ada@example.com")]
    Password {
        /// The user
        email: String,
        #[command(flatten)]
        password: GivenPassword,
    },
    /// Change a user's role and end their sessions
    #[command(after_help = "Example:\n  weirgate users role ada@example.com admin")]
    Role {
        /// The user
        email: String,
        /// The new role
        #[arg(value_parser = values::role())]
        role: Role,
    },
    /// Disable a user and end their sessions
    #[command(after_help = "Example:\n  weirgate users disable ada@example.com")]
    Disable {
        /// The user
        email: String,
    },
}

/// Where a password comes from.
#[derive(Debug, Args)]
pub struct GivenPassword {
    /// Read the password from standard input
    #[arg(long)]
    pub password_stdin: bool,
}
