//! `failures`, of a server.

use anyhow::Result;

use crate::client::{Call, Client};
use crate::commands::failures::Failure;

pub(in crate::commands) async fn list(client: &Client, limit: usize) -> Result<Vec<Failure>> {
    client.list(&Call::get(["internal", "failures"]), limit).await
}
