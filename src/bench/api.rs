//! The API as a process of its own.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use axum::http::header::AUTHORIZATION;

use super::client::{Client, Credential};
use super::process::{Process, TOKEN};
use super::stage::Stage;

/// Serves until it is dropped.
pub(super) struct Api {
    _process: Process,
    pub(super) address: SocketAddr,
    pub(super) service: Credential,
}

impl Api {
    pub(super) async fn start(stage: &Stage) -> anyhow::Result<Self> {
        // A port that is free now.
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let listen = address.to_string();
        // One client asks for all.
        let limits = [("WEIRGATE_REQUESTS_PER_S", "1000000"), ("WEIRGATE_REQUEST_BURST", "1000000")];
        let mut process =
            Process::start(stage, "serve", &[limits[0], limits[1], ("WEIRGATE_LISTEN", &listen)])?;
        let service = (AUTHORIZATION, HeaderValue::try_from(format!("Bearer {TOKEN}"))?);
        let begun = Instant::now();
        loop {
            if let Ok(mut client) = Client::connect(address).await
                && client.get("/health/ready", &service).await.is_ok()
            {
                return Ok(Self { _process: process, address, service });
            }
            process.check(begun)?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
