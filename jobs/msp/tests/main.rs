//! The domain on its own: its jobs without the queue, its routes without the service. One binary
//! for all these tests; it starts a Postgres of its own.

mod http;
mod jobs;
mod support;
