//! The ways by which something is done.

use std::fmt;

use serde::{Deserialize, Serialize};

/// By which way something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Via {
    /// The dashboard's pages.
    Dashboard,
    /// The service's API.
    Internal,
    /// The program's commands.
    Cli,
    /// Pages and tokens of those who sign in.
    Account,
    /// A domain's API.
    Api,
}

impl Via {
    /// Every way.
    pub const ALL: [Self; 5] = [Self::Dashboard, Self::Internal, Self::Cli, Self::Account, Self::Api];

    /// The name in the database, in answers and on pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dashboard => "dashboard",
            Self::Internal => "internal",
            Self::Cli => "cli",
            Self::Account => "account",
            Self::Api => "api",
        }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
