//! Backfills: a range of work as an object. Its slices are numbered from 0 and become jobs bit by
//! bit, so that making a backfill of ten million slices writes one row.
//!
//! Only the application knows what a slice is; it says so by implementing [`Slices`]. The expander
//! ([`worker::expander`](crate::worker::expander)) keeps a bounded number of slices in flight: one
//! transaction stores the jobs of the next slices and advances `next_slice`, so that a crash
//! neither loses a slice nor makes one twice. A tenant that has enough slices in flight falls
//! behind: the backfill goes on without it, and the tenant follows with a cursor of its own.

mod change;
mod create;
mod expand;
mod open;
mod planned;
mod progress;
mod settings;
mod slices;
pub(crate) mod state;
mod steps;
mod window;

pub use change::{cancel, pause, request_cancel, resume, retry_failed, update_settings};
pub use create::{NewBackfill, create};
pub use planned::{
    Planned, PlannedTenant, SliceState, SlicesAsked, planned, planned_tenants, slice_states, spec,
};
pub use progress::{Backfill, get, list, unfinished};
pub use settings::BackfillSettings;
pub use slices::{Expansion, Slice, SliceQuery, Slices, TenantScope};
pub use state::BackfillState;

pub(crate) use change::describe;
pub(crate) use expand::{catch_up, expand};
pub(crate) use open::{OpenBackfill, load_open};
pub(crate) use progress::{Sample, done_slices};
pub(crate) use steps::{cancel_batch, finish, retry_batch, save_sample};
pub(crate) use window::SliceWindow;
