//! A real haproxy with the configuration that `deploy/haproxy` has, and its check on each server's
//! machine.

use std::os::fd::AsFd;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::cluster::cluster;
use crate::server::Server;

const DEPLOYED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/haproxy");

pub(crate) struct Haproxy {
    _process: Child,
    port: u16,
}

impl Haproxy {
    /// Debian has it in `/usr/sbin`.
    pub(crate) fn is_installed() -> bool {
        Path::new("/usr/sbin/haproxy").exists()
    }

    /// Before two servers, of which one takes writes.
    pub(crate) async fn start(servers: [&Server; 2]) -> Self {
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let mut command = Command::new("/usr/sbin/haproxy");
        command.args(["-db", "-f"]).arg(Path::new(DEPLOYED).join("haproxy.cfg"));
        command.env("WEIRGATE_PG_LISTEN", format!("127.0.0.1:{port}"));
        for (server, name) in servers.into_iter().zip(["A", "B"]) {
            command.env(format!("WEIRGATE_PG_{name}"), format!("127.0.0.1:{}", server.port()));
            command.env(format!("WEIRGATE_PG_{name}_CHECK"), check(server.port()).await.to_string());
        }
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(Instant::now() < deadline, "haproxy does not listen");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self { _process: process, port }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// As systemd's socket would run the check; the port on which it answers.
async fn check(server: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let path = format!("{}:{}", cluster().programs().display(), std::env::var("PATH").unwrap_or_default());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let socket = || {
                let stream = stream.as_fd().try_clone_to_owned().unwrap();
                rustix::fs::fcntl_setfl(&stream, rustix::fs::OFlags::empty()).unwrap();
                Stdio::from(stream)
            };
            let mut command = Command::new(Path::new(DEPLOYED).join("weirgate-primary-check"));
            command.env("PATH", &path).env("PGHOST", "127.0.0.1").env("PGPORT", server.to_string());
            command.env("PGUSER", "weirgate").stdin(socket()).stdout(socket());
            let mut process = command.spawn().unwrap();
            tokio::spawn(async move { process.wait().await });
        }
    });
    port
}
