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
    /// One client asks for all, as often as it can.
    pub(super) async fn start(stage: &Stage) -> anyhow::Result<Self> {
        Self::with(stage, &[("WEIRGATE_REQUESTS_PER_S", "1000000"), ("WEIRGATE_REQUEST_BURST", "1000000")])
            .await
    }

    pub(super) async fn with_usual_limits(stage: &Stage) -> anyhow::Result<Self> {
        Self::with(stage, &[]).await
    }

    /// With a key for tokens. Clients say by a header where they come from.
    pub(super) async fn with_sign_ins(stage: &Stage) -> anyhow::Result<Self> {
        let secret_key = hex::encode(stage.secret());
        Self::with(
            stage,
            &[
                ("WEIRGATE_REQUESTS_PER_S", "1000000"),
                ("WEIRGATE_REQUEST_BURST", "1000000"),
                ("WEIRGATE_TRUSTED_PROXIES", "127.0.0.1"),
                ("WEIRGATE_SECRET_KEY", &secret_key),
            ],
        )
        .await
    }

    async fn with(stage: &Stage, limits: &[(&str, &str)]) -> anyhow::Result<Self> {
        // A port that is free now.
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let listen = address.to_string();
        let mut process =
            Process::start(stage, "serve", &[limits, &[("WEIRGATE_LISTEN", &*listen)]].concat())?;
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
