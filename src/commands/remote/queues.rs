//! `queues`, of a server.

use anyhow::Result;

use crate::client::{Call, Client};
use crate::commands::queues::Queue;

pub(in crate::commands) async fn list(client: &Client) -> Result<Vec<Queue>> {
    client.whole(&Call::get(["internal", "queues"])).await
}

pub(in crate::commands) async fn pause(client: &Client, queue: &str, paused: bool) -> Result<()> {
    let verb = if paused { "pause" } else { "resume" };
    client.tell(&Call::post(["internal", "queues", queue, verb])).await
}
