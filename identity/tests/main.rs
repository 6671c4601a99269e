//! Who is who, on a real Postgres with the tables of the engine and of identity. One binary for all
//! these tests; it starts a server of its own.

mod access_tokens;
mod accounts;
mod days;
mod desk;
mod key_set;
mod refresh_model;
mod sign_ins;
mod signing_keys;
mod support;
mod taken_over;
mod tenants;
