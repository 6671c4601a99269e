//! TLS of every HTTP client in this program.

use reqwest::{Client, ClientBuilder};

/// Makes [ring](https://crates.io/crates/ring) what encrypts the connections of HTTP clients in
/// this process. It is needed before the first client is made, and may be called again.
pub fn provide_tls() {
    // Whoever was first has provided it.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// An HTTP client in the making.
#[expect(clippy::disallowed_methods, reason = "TLS is provided")]
pub fn http_client() -> ClientBuilder {
    provide_tls();
    Client::builder()
}
