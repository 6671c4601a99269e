//! Backfills of KPIs, exports and daily pipelines.

mod find;
mod kind;
mod slices;

pub use kind::BackfillKind;
pub use slices::DailySlices;
