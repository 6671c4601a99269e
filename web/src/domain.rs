//! What Weirgate does, in parts of which each can be left out: a domain says what it runs, by the
//! clock and in backfills, what people may ask it for, and what it answers over HTTP. The engine
//! and the operations know no domain by name.

mod catalog;
mod counter;
mod definition;
mod enqueueable;
mod routes;

pub use catalog::Catalog;
pub use counter::{DomainCounter, Labels};
pub use definition::Domain;
pub use enqueueable::Enqueueable;
pub use routes::DomainRoutes;
