//! Connections: how they are kept and given up on, and which history of the database they see.

pub mod held;
pub mod history;
pub mod patience;
