//! A calendar day as text: in arguments, parameters and on the command line there is one way to
//! write it.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Reads a day such as 2026-01-31.
///
/// # Errors
/// With what was expected, for every other form: chrono alone also takes `2026-1-5` and
/// `+2026-01-05`.
pub fn parse_day(text: &str) -> Result<NaiveDate, String> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|day| day.to_string() == text);
    day.filter(|_| text.len() == 10).ok_or_else(|| "expected a date such as 2026-01-31".to_owned())
}

/// The day that a filter asks for: `date`, or the argument of that name, which it takes out. Every
/// job with a day in its arguments is about it, so that both ask for the same; of two different
/// ones, the argument stays, and there is no such job.
pub fn take_day(date: Option<NaiveDate>, args: &mut BTreeMap<String, String>) -> Option<String> {
    match date {
        Some(date) => Some(date.to_string()),
        None => args.remove("date"),
    }
}

/// A day in the arguments of a job.
pub fn strict<'de, D: Deserializer<'de>>(from: D) -> Result<NaiveDate, D::Error> {
    parse_day(&String::deserialize(from)?).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_day_is_written_in_one_way() {
        assert_eq!(parse_day("2026-01-05"), Ok(NaiveDate::from_ymd_opt(2026, 1, 5).unwrap()));
        for wrong in [
            "2026-1-5",
            "+2026-01-05",
            "20260105",
            "2026-02-30",
            " 2026-01-05",
            "2026-01-05T00:00:00Z",
            "12026-01-05",
            "-2026-01-05",
            "",
        ] {
            assert!(parse_day(wrong).is_err(), "{wrong}");
        }
        assert_eq!(strict(Value::from("2026-01-05")).map_err(|it| it.to_string()), parse_day("2026-01-05"));
        let error = strict(Value::from("2026-1-5")).unwrap_err();
        assert!(error.to_string().contains("such as 2026-01-31"), "{error}");
    }
}
