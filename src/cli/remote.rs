//! `--server`: where a command acts, if not on this machine.

use std::path::PathBuf;

use clap::Args;

use crate::client::Address;

/// The API of a server elsewhere, in place of the database.
#[derive(Debug, Args)]
#[command(next_help_heading = "Remote server")]
pub struct Remote {
    /// The server.
    #[arg(long, global = true, value_name = "URL", value_parser = Address::parse,
        help = "Use the API of this server, such as https://jobs.example.com, instead of the database [env: WEIRGATE_URL]")]
    pub server: Option<Address>,
    /// Its SERVICE_TOKEN. Other accounts of this machine can see it here: WEIRGATE_TOKEN and
    /// --token-file hide it
    #[arg(long, global = true, value_name = "TOKEN", conflicts_with = "token_file")]
    pub token: Option<String>,
    /// A file with the token; - is standard input
    #[arg(long, global = true, value_name = "PATH")]
    pub token_file: Option<PathBuf>,
}
