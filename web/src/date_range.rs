//! `?from=&to=` of the lists of ingested rows.

use chrono::NaiveDate;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use crate::page::Paging;
use crate::params::{Fields, FromQuery};

/// Days, for the documentation.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents what DateRange reads")]
pub struct DateRangeParams {
    /// The first day, in the tenant's time zone.
    #[param(required = false, example = "2026-01-01")]
    from: NaiveDate,
    /// The last day.
    #[param(required = false, example = "2026-01-31")]
    to: NaiveDate,
}

/// Days, both ends included; an end left out is open. With a page.
#[derive(Debug)]
pub struct DateRange<C> {
    pub from: Option<NaiveDate>,
    pub to: Option<NaiveDate>,
    pub paging: Paging<C>,
}

impl<C: Serialize + DeserializeOwned> FromQuery for DateRange<C> {
    fn take(fields: &mut Fields) -> Option<Self> {
        let (from, to) = take_days(fields);
        Some(Self { from, to, paging: Paging::take(fields) })
    }
}

/// `from` and `to`, in order.
pub fn take_days(fields: &mut Fields) -> (Option<NaiveDate>, Option<NaiveDate>) {
    let (from, to) = (fields.get("from"), fields.get("to"));
    if from.zip(to).is_some_and(|(from, to): (NaiveDate, NaiveDate)| from > to) {
        fields.fail("to", "is before from");
    }
    (from, to)
}
