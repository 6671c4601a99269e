//! The values of parameters and of members of a body, out of their texts.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use uuid::Uuid;
use weirgate_queue::read::WorkflowState;

/// Longest text a parameter may have.
const MAX_TEXT: usize = 2000;

/// A value of a parameter, or what was expected instead.
pub trait Parse: Sized {
    fn parse(text: &str) -> Result<Self, String>;
}

impl Parse for String {
    fn parse(text: &str) -> Result<Self, String> {
        let fits =
            !text.is_empty() && text.chars().count() <= MAX_TEXT && !text.chars().any(char::is_control);
        fits.then(|| text.to_owned())
            .ok_or_else(|| format!("expected 1 to {MAX_TEXT} characters without control characters"))
    }
}

impl Parse for Uuid {
    fn parse(text: &str) -> Result<Self, String> {
        text.trim().parse().map_err(|_| "expected a UUID".to_owned())
    }
}

impl Parse for bool {
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("expected true or false".to_owned()),
        }
    }
}

impl Parse for WorkflowState {
    fn parse(text: &str) -> Result<Self, String> {
        text.trim().parse()
    }
}

impl Parse for f64 {
    fn parse(text: &str) -> Result<Self, String> {
        text.trim()
            .parse()
            .ok()
            .filter(|number: &Self| number.is_finite())
            .ok_or_else(|| "expected a number".to_owned())
    }
}

impl Parse for NaiveDate {
    fn parse(text: &str) -> Result<Self, String> {
        crate::day::parse_day(text.trim())
    }
}

impl Parse for DateTime<Utc> {
    fn parse(text: &str) -> Result<Self, String> {
        let at = DateTime::parse_from_rfc3339(text.trim())
            .map_err(|_| "expected an RFC 3339 time such as 2026-01-31T08:00:00Z".to_owned())?
            .to_utc();
        // In UTC it may lie in a year that no answer could name.
        (1..=9999)
            .contains(&at.year())
            .then_some(at)
            .ok_or_else(|| "expected a time that is in the years 1 to 9999 in UTC, too".to_owned())
    }
}

/// A whole number, also one that is written with a point or an exponent, such as `3.0`.
pub fn whole_number(text: &str) -> Option<i64> {
    let text = text.trim();
    text.parse().ok().or_else(|| whole(text.parse().ok()?))
}

/// The number, if it is a whole one that can be told from its neighbours.
pub fn whole(number: f64) -> Option<i64> {
    const MOST: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
    (number.fract() == 0.0 && number.abs() < MOST).then_some(number as i64)
}

/// A tenant by slug or UUID.
#[derive(Debug, Clone)]
pub struct TenantName(pub String);

impl Parse for TenantName {
    fn parse(text: &str) -> Result<Self, String> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        fits.then(|| Self(text.to_owned())).ok_or_else(|| "expected a tenant's slug or UUID".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert!(<NaiveDate as Parse>::parse("2026-02-28").is_ok());
        for bad in ["2026-02-30", "+2026-2-28", "2026-2-28", "20260228", "", "2026-02-28T00:00:00Z"] {
            assert!(<NaiveDate as Parse>::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_that_an_answer_could_not_tell_are_none() {
        let parse = <DateTime<Utc> as Parse>::parse;
        assert_eq!(parse("2026-01-31T10:00:00+02:00").unwrap().to_rfc3339(), "2026-01-31T08:00:00+00:00");
        assert!(parse("9999-12-31T23:59:59Z").is_ok() && parse("0001-01-01T00:00:00Z").is_ok());
        for bad in [
            "9999-12-31T23:59:59-23:59",
            "9999-12-31T23:59:59-00:01",
            "0001-01-01T00:00:00+00:01",
            "0000-12-31T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "2026-01-31T08:00:00",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn whole_numbers() {
        for (text, number) in [("3", 3), (" -3 ", -3), ("3.0", 3), ("1e2", 100), ("+7", 7)] {
            assert_eq!(whole_number(text), Some(number), "{text}");
        }
        for text in ["", "3.5", "1e300", "three", "NaN", "inf", "0x10", "1_000", "3 4"] {
            assert_eq!(whole_number(text), None, "{text}");
        }
    }
}
