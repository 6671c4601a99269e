//! Weirgate: the service.

pub mod config;
pub mod database;
pub mod postgres;
pub mod worker;
