//! What the domain answers over HTTP. What needs the operations too, such as a job that is followed,
//! is among the service's tests.

mod days;
mod downloads;
mod exports;
mod rejects;
mod results;
mod tickets;
