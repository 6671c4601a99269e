//! Weirgate, the service: what `main.rs` assembles and tests reach.

pub mod http;
