//! `?from=&to=` of the lists of ingested rows.

use chrono::NaiveDate;
use serde::de::DeserializeOwned;
use utoipa::openapi::path::Parameter;

use crate::page::Paging;
use crate::params::{Fields, FromQuery};
use crate::query_params;

query_params! {
    /// Days.
    struct DaysParams {
        /// The first day, in the tenant's time zone.
        #[param(example = "2026-01-01")]
        from: Option<NaiveDate>,
        /// The last day.
        #[param(example = "2026-01-31")]
        to: Option<NaiveDate>,
    }
}

/// Days, both ends included; an end left out is open. With a page.
#[derive(Debug)]
pub struct DateRange<C> {
    pub from: Option<NaiveDate>,
    pub to: Option<NaiveDate>,
    pub paging: Paging<C>,
}

impl<C: DeserializeOwned> FromQuery for DateRange<C> {
    fn take(fields: &mut Fields) -> Option<Self> {
        let DaysParams { from, to } = DaysParams::take(fields)?;
        in_order(fields, from, to);
        Some(Self { from, to, paging: Paging::take(fields)? })
    }

    fn parameters() -> Vec<Parameter> {
        [DaysParams::parameters(), Paging::<C>::parameters()].concat()
    }
}

/// Refuses a `to` that is before `from`.
pub fn in_order(fields: &mut Fields, from: Option<NaiveDate>, to: Option<NaiveDate>) {
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        fields.fail("to", "is before from");
    }
}
