//! Faults under load: processes killed and frozen, Postgres restarted, connections cut. After each,
//! nothing is lost and nothing is there twice.
//!
//! `cargo test -p weirgate --test chaos -- --nocapture` prints one line per fault. `CHAOS=long` is the
//! long profile, `CHAOS_SEED` repeats the random choices of a run.

mod check;
mod cluster;
mod faults;
mod haproxy;
mod jobs;
mod load;
mod profile;
mod proxy;
mod scene;
mod server;
mod wire;
mod worker;
