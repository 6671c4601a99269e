//! Weirgate: the service.

pub mod config;
pub mod database;
pub mod mock_data;
pub mod postgres;
mod random;
pub mod worker;
