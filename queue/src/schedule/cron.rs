//! Cron expressions with seconds, read in a time zone. The pattern and the calendar are [`croner`]'s.
//!
//! Where the clocks change, an expression with fixed second, minute and hour ticks once a day all the same: what falls
//! into the hour that is skipped ticks at the first second after it, and what falls into the hour that comes twice
//! ticks the first time. An expression with `*` or `/` in one of these fields counts elapsed time: it has no tick in
//! the hour that is skipped and ticks in both hours that are called the same.

use std::fmt;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};

const FIELDS: [&str; 6] = ["second", "minute", "hour", "day of month", "month", "day of week"];

/// A cron expression: second, minute, hour, day of month, month, day of week; of five fields, the second is 0.
#[derive(Debug, Clone)]
pub struct Cron(croner::Cron);

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    /// Which field is wrong, and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let first = match fields.len() {
            5 => 1,
            6 => 0,
            count => return Err(format!("expected 6 fields ({}), got {count}", FIELDS.join(", "))),
        };
        let parser = CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).build();
        // One field at a time, since the parser does not say which one it refused.
        for (index, field) in fields.iter().enumerate() {
            let mut alone = ["*"; 6];
            alone[first + index] = field;
            if let Err(error) = parser.parse(&alone.join(" ")) {
                return Err(format!(
                    "field {} ({}), {field:?}: {}",
                    index + 1,
                    FIELDS[first + index],
                    plain(&error)
                ));
            }
        }
        let whole = if first == 0 { text.to_owned() } else { format!("0 {text}") };
        parser.parse(&whole).map(Self).map_err(|error| plain(&error))
    }

    /// The first tick after a time; `None` when there is none any more, as of 30 February.
    pub fn next_after(&self, after: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        self.0.find_next_occurrence(&after.with_timezone(&zone), false).ok().map(|it| it.to_utc())
    }

    /// The ticks after `after` up to and with `until`, oldest first.
    pub fn between(
        &self,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
        zone: Tz,
    ) -> impl Iterator<Item = DateTime<Utc>> {
        self.0
            .iter_after(after.with_timezone(&zone))
            .map(|tick| tick.to_utc())
            .take_while(move |tick| *tick <= until)
    }

    /// The same ticks, newest first: a long stretch costs only as many as are taken.
    pub fn back_from(
        &self,
        until: DateTime<Utc>,
        after: DateTime<Utc>,
        zone: Tz,
    ) -> impl Iterator<Item = DateTime<Utc>> {
        // The search forgets fractions of a second and leaves its start out.
        let start = until.trunc_subsecs(0) + TimeDelta::seconds(1);
        self.0
            .iter_before(start.with_timezone(&zone))
            .map(|tick| tick.to_utc())
            .take_while(move |tick| *tick > after)
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// What is wrong, without the parser's own words for the part that found it.
fn plain(error: &croner::errors::CronError) -> String {
    let text = error.to_string();
    match text.split_once(": ") {
        Some((_, why)) => why.to_owned(),
        None => text,
    }
}

/// Reads the name of a time zone, in its only spelling. The one check that there is: whatever names a zone is read here.
///
/// # Errors
/// When the IANA database has none of that name; says how it is spelled where only that is wrong.
pub fn parse_zone(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| {
        let same = chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name));
        match same {
            Some(zone) => format!("no IANA time zone {name:?}; it is spelled {:?}", zone.name()),
            None => format!("no IANA time zone {name:?}; such as Europe/Berlin or UTC"),
        }
    })
}

#[cfg(test)]
#[path = "cron_tests.rs"]
mod tests;
