//! Backfills of days: a slice is one tenant and day. Slices go day by day, and through all tenants
//! within a day, so that no tenant waits for another one's whole range.

mod days;
mod kind;
mod range;
mod slices;

pub use days::{BackfillDays, SliceJob, TenantDays};
pub use kind::BackfillKind;
pub use range::{BackfillOrder, BackfillRange, Reprocess};
pub use slices::DailySlices;
