//! `identity`.

use clap::Subcommand;

/// What can be done with keys of the service itself.
#[derive(Debug, Subcommand)]
pub enum Identity {
    /// List, rotate and revoke the keys that sign access tokens
    #[command(
        subcommand,
        after_help = "\
Examples:
  weirgate identity keys list
  weirgate identity keys rotate
  weirgate identity keys revoke kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    )]
    Keys(SigningKeys),
    /// Seal with WEIRGATE_SECRET_KEY what WEIRGATE_SECRET_KEY_OLD has sealed
    ///
    /// It works in small transactions, so that it can run while the service does, and can be
    /// stopped and run again.
    #[command(after_help = "\
Example:
  WEIRGATE_SECRET_KEY=$NEW WEIRGATE_SECRET_KEY_OLD=$OLD weirgate identity reseal")]
    Reseal,
}

/// What can be done with the keys that sign access tokens.
#[derive(Debug, Subcommand)]
pub enum SigningKeys {
    /// List the keys, the newest first
    #[command(after_help = "Example:\n  weirgate identity keys list")]
    List,
    /// Have the next key sign from now on; tokens of the former one stay good until they end
    #[command(after_help = "Example:\n  weirgate identity keys rotate")]
    Rotate,
    /// Refuse all tokens of a key from now on, as when its private half has become known
    #[command(
        after_help = "Example:\n  weirgate identity keys revoke kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    )]
    Revoke {
        /// The key, as `weirgate identity keys list` names it
        // A name may begin with a hyphen.
        #[arg(allow_hyphen_values = true)]
        key: String,
    },
}
