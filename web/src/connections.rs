//! The connections of callers: how many there may be, how long each may keep us waiting, and which
//! one makes room for another.
//!
//! A process has a bounded number of open files, and its connections to the database and the files
//! of its jobs are among them. So callers get what is left, and who holds a connection without
//! using it loses it to the next one.

mod body;
mod serve;
mod stream;
mod table;

pub use self::serve::serve;
pub use self::table::{Connection, Reserved};
