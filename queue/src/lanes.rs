//! Lanes: one tenant's place in one queue. Who may start how much, decided once for the whole fleet.
//!
//! Every host keeps a [`book`] a queue: what waits and runs in each lane, summed up from the log that every change
//! of a job's state is written to in its own transaction. From it a claim plans how many jobs of which lanes are
//! next, and asks the database for exactly these under the number of the next turn. If another host took that turn
//! first, the picture was outdated and nothing happens; so limits are exact without a lock that anybody holds.
//! `docs/lanes.md` has the reasons, and what else was tried.

mod ahead;
pub mod book;
pub mod change;
pub mod check;
pub mod explain;
pub mod facts;
pub mod gcra;
pub mod limits;
pub(crate) mod log;
pub mod look;
mod oldest;
mod places;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod rebuild;
pub mod reconcile;
pub mod traffic;
pub mod view;

pub use book::Book;
pub use explain::Blocked;
pub use limits::{LaneLimits, Rate};
pub use view::Books;
