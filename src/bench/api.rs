//! The API as a process of its own.

use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use axum::http::HeaderValue;
use axum::http::header::AUTHORIZATION;
use rand::Rng;
use tokio::process::{Child, Command};

use super::client::{Client, Credential};
use super::stage::Stage;
use crate::random;

/// A process of its own that serves: this program once more. Ends when dropped.
pub(super) struct Api {
    _process: Child,
    pub(super) address: SocketAddr,
    pub(super) service: Credential,
}

impl Api {
    pub(super) async fn start(stage: &Stage) -> anyhow::Result<Self> {
        let mut secret = [0; 32];
        random::generator().fill_bytes(&mut secret);
        let token = hex::encode(secret);
        // A port that is free now.
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let process = Command::new(std::env::current_exe().context("finding this program")?)
            .arg("serve")
            .env("DATABASE_URL", stage.url())
            .env("SERVICE_TOKEN", &token)
            .env("WEIRGATE_HOME", &stage.home)
            .env("WEIRGATE_LISTEN", address.to_string())
            // One client asks for all.
            .env("WEIRGATE_REQUESTS_PER_S", "1000000")
            .env("WEIRGATE_REQUEST_BURST", "1000000")
            .env("WEIRGATE_LOG", "warn")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("starting the API")?;
        let service = (AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}"))?);
        let api = Self { _process: process, address, service };
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if let Ok(mut client) = Client::connect(address).await
                && client.get("/health/ready", &api.service).await.is_ok()
            {
                return Ok(api);
            }
        }
        anyhow::bail!("the API did not start")
    }
}
