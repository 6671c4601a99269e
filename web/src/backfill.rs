//! Backfills of days: a slice is one tenant and day. Slices go day by day, and through all tenants
//! within a day, so that no tenant waits for another one's whole range. What a slice becomes is a
//! domain's to say.

mod days;
mod kind;
mod range;

pub use days::{BackfillDays, SliceJob, TenantDays};
pub use kind::{BackfillKind, CountSlices, TenantCount};
pub use range::{BackfillOrder, BackfillRange, Reprocess};
