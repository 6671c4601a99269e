//! A lane is one tenant's place in one queue. Lanes decide, once for all workers, who may start how
//! much.
//!
//! Every worker keeps a [`QueueView`] of each of its queues: how many jobs wait and run in each
//! lane, summed up from the log that every change of a job's state is written to, in the same
//! transaction. A claim plans on the view how many jobs of which lanes are next, and asks the
//! database for exactly these under the next claim sequence number. If another worker has taken
//! that number first, the view is outdated and the claim changes nothing. So limits are exact, and
//! nobody holds a lock for them. `docs/lanes.md` explains the reasons and names the alternatives
//! that were tried.
//!
//! What people set:
//!
//! - [`LaneLimits`] and [`QueueLimits`] are the limits of one lane and of all lanes of a queue
//!   together; [`LimitsInput`] are limits as people enter them.
//! - [`change`] changes limits and pauses, and [`settings`] reads them.
//!
//! What people and claims ask a view, through [`QueueView`] or, for all readers of one process,
//! through [`QueueViews`]:
//!
//! - [`LaneStatus`] and [`BusyLane`]: what a lane may do and does.
//! - [`Activity`]: how many jobs are in each state, and what is throttled.
//! - [`QueuePosition`]: where a job stands in its lane, and [`Blocked`]: why it does not start.
//! - [`traffic`]: what goes through the queues, and which workers claim from them.
//!
//! How it is decided: a rate is kept by the generic cell rate algorithm ([`Gcra`]), fair shares by
//! start-time fair queueing in the claim. [`reconcile`] compares a view with the jobs and corrects
//! it.

pub(crate) mod activity;
pub(crate) mod backfill_parts;
pub(crate) mod blocked;
pub mod change;
pub(crate) mod gcra;
pub(crate) mod input;
pub(crate) mod lane_status;
pub(crate) mod limits;
pub(crate) mod log;
pub(crate) mod oldest;
pub(crate) mod position;
pub(crate) mod priority_level;
pub(crate) mod ready_set;
pub(crate) mod rebuild;
pub mod reconcile;
pub mod settings;
pub(crate) mod sublane;
pub mod traffic;
pub(crate) mod view;
pub(crate) mod views;

pub use activity::{Activity, CountsByState};
pub use blocked::Blocked;
pub use gcra::{Gcra, Rate};
pub use input::{InvalidLimit, LimitsInput, MAX_LIMIT};
pub use lane_status::{BusyLane, LaneStatus};
pub use limits::{LaneLimits, QueueLimits};
pub use position::{AvailableJob, QueuePosition};
pub use view::QueueView;
pub use views::QueueViews;
