//! Cron expressions with seconds, read in a time zone. The pattern and the calendar are
//! [`croner`]'s.
//!
//! Where the clocks change, an expression with fixed second, minute and hour ticks once a day all
//! the same: a tick that falls into the hour that is skipped comes at the first second after it,
//! and one that falls into the hour that is repeated comes the first time. An expression with `*`
//! or `/` in one of these fields counts elapsed time: it has no tick in the hour that is skipped,
//! and ticks in both of the repeated hours.

use std::fmt;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};

const FIELDS: [&str; 6] = ["second", "minute", "hour", "day of month", "month", "day of week"];

/// A cron expression: second, minute, hour, day of month, month, day of week. With five fields, the
/// second is 0.
#[derive(Debug, Clone)]
pub struct Cron(croner::Cron);

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    /// A text that says which field is wrong, and why.
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
                    reason(&error)
                ));
            }
        }
        let whole = if first == 0 { text.to_owned() } else { format!("0 {text}") };
        parser.parse(&whole).map(Self).map_err(|error| reason(&error))
    }

    /// The first tick after a time; `None` when there is none, as of 30 February.
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

    /// The ticks of [`Self::between`], newest first. However long the time, only the ticks that are
    /// taken are computed.
    pub fn between_backwards(
        &self,
        until: DateTime<Utc>,
        after: DateTime<Utc>,
        zone: Tz,
    ) -> impl Iterator<Item = DateTime<Utc>> {
        // The search drops fractions of a second and excludes its start.
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

/// What is wrong, without the name of the parser's part that found it.
fn reason(error: &croner::errors::CronError) -> String {
    let text = error.to_string();
    match text.split_once(": ") {
        Some((_, why)) => why.to_owned(),
        None => text,
    }
}

/// Reads the name of an IANA time zone, in its one spelling. Every name of a zone is checked here.
///
/// # Errors
/// A text when the IANA database has no zone of that name; it says how the name is spelled where
/// only case is wrong.
pub fn parse_zone(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| {
        let other_case = chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name));
        match other_case {
            Some(zone) => format!("no IANA time zone {name:?}; it is spelled {:?}", zone.name()),
            None => format!("no IANA time zone {name:?}; expected a name such as Europe/Berlin or UTC"),
        }
    })
}

/// Names of IANA time zones to choose from: one for each place, without old names and offsets.
pub fn zone_names() -> impl Iterator<Item = &'static str> {
    const REGIONS: [&str; 10] = [
        "Africa",
        "America",
        "Antarctica",
        "Arctic",
        "Asia",
        "Atlantic",
        "Australia",
        "Europe",
        "Indian",
        "Pacific",
    ];
    let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    names.filter(|name| {
        *name == "UTC" || name.split_once('/').is_some_and(|(region, _)| REGIONS.contains(&region))
    })
}

#[cfg(test)]
#[path = "cron_tests.rs"]
mod tests;
