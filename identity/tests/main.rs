//! Who is who, on a real Postgres with the tables of the engine and of identity. One binary for all
//! these tests; it starts a server of its own.

mod accounts;
mod days;
mod taken_over;
mod tenants;
