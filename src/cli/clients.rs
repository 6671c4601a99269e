//! `clients`.

use clap::{Args, Subcommand};

/// What can be done with browser apps that people sign in to by OAuth.
#[derive(Debug, Subcommand)]
pub enum Clients {
    /// List the apps
    #[command(after_help = "Examples:\n  weirgate clients list\n  weirgate clients list --json")]
    List {
        /// Print JSON, one app a line
        #[arg(long)]
        json: bool,
    },
    /// Make an app known, so that people can sign in to it
    #[command(after_help = "\
Examples:
  weirgate clients create desk --name Desk --redirect-uri https://desk.example.com/signed-in \\
    --origin https://desk.example.com
  weirgate clients create desk --name 'Desk (here)' --redirect-uri http://127.0.0.1:5173/signed-in \\
    --origin http://127.0.0.1:5173")]
    Create(NewClient),
    /// Give an app neither codes nor tokens any more; those that it has are refused within 5 seconds
    #[command(after_help = "Example:\n  weirgate clients disable desk")]
    Disable {
        /// What it calls itself
        client_id: String,
    },
    /// Let people sign in to a disabled app again
    #[command(after_help = "Example:\n  weirgate clients enable desk")]
    Enable {
        /// What it calls itself
        client_id: String,
    },
}

/// An app that is made known.
#[derive(Debug, Args)]
pub struct NewClient {
    /// What it calls itself: 1 to 64 letters, digits, dots, - and _
    pub client_id: String,
    /// Name, as people see it when they sign in
    #[arg(long)]
    pub name: String,
    /// Where people may be sent back to, to the letter; may be repeated
    #[arg(long, required = true)]
    pub redirect_uri: Vec<String>,
    /// Scheme and host of pages whose scripts may ask for tokens; may be repeated
    #[arg(long)]
    pub origin: Vec<String>,
}
