//! Values on the command line, each with an example of what was expected.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use weirgate_identity::audit::Via;
use weirgate_identity::platform::Role;

/// What a user of the dashboard may do.
pub(super) fn role() -> impl TypedValueParser<Value = Role> {
    one_of(Role::ALL.map(|role| {
        let help = match role {
            Role::Viewer => "Looks",
            Role::Operator => "Acts on jobs and queues",
            Role::Admin => "Sets limits",
        };
        (role, role.as_str(), help)
    }))
}

/// A way to do something.
pub(super) fn via() -> impl TypedValueParser<Value = Via> {
    one_of(Via::ALL.map(|via| {
        let help = match via {
            Via::Dashboard => "The dashboard's pages",
            Via::Internal => "The service's API",
            Via::Cli => "The program's commands",
            Via::Account => "Sign-in pages, My account, and tokens",
            Via::Api => "A domain's API",
        };
        (via, via.as_str(), help)
    }))
}

/// One of these values, each with its name and what it means.
fn one_of<T: Copy + Send + Sync + 'static, const N: usize>(
    values: [(T, &'static str, &'static str); N],
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(values.map(|(_, name, help)| PossibleValue::new(name).help(help))).try_map(
        move |given| {
            let found = values.iter().find(|(_, name, _)| *name == given);
            found.map(|(value, ..)| *value).ok_or("not one of these")
        },
    )
}

/// A date.
pub(super) fn day(text: &str) -> Result<NaiveDate, String> {
    // Nothing but this form: chrono would take 2026-1-2, too, and a sign.
    let is_plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let day = text.parse().ok().filter(|_| is_plain);
    day.ok_or_else(|| "expected a date such as 2026-01-31".to_owned())
}

/// A time with its zone.
pub(super) fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let time = time.ok().filter(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true).len() == 20);
    time.ok_or_else(|| {
        "expected a time with its zone, such as 2026-01-31T08:00:00Z or 2026-01-31T08:00:00+01:00".to_owned()
    })
}

/// `name=value`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or_else(|| "expected NAME=VALUE, such as date=2026-01-20".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A number that is not negative, or above 0.
fn number(text: &str, least: impl Fn(f64) -> bool) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && least(*number))
}

/// A length of time, in seconds.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => Some(0.001),
        "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    };
    let seconds = unit.and_then(|unit| Some(number(digits, |it| it > 0.0)? * unit));
    seconds.ok_or_else(|| "expected a number and its unit, such as 500ms, 1s, 1m or 1h".to_owned())
}

/// A share of all.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let share = number(text, |it| it > 0.0 && it <= 1.0).map(|share| share.max(1e-6));
    share.ok_or_else(|| "expected a number above 0, up to 1, such as 0.25".to_owned())
}

/// A whole number; how large it may be depends on what it is for.
pub(super) fn count(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "expected a whole number, such as 20".to_owned())
}

/// How much more something counts than others.
pub(super) fn weight(text: &str) -> Result<f64, String> {
    number(text, |_| true).ok_or_else(|| "expected a number, such as 2 or 0.5".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tells_what_was_expected() {
        for wrong in ["", "20260131", "2026-1-2", "2026-02-30", "31.01.2026", "+2026-01-1", "today"] {
            assert!(day(wrong).unwrap_err().contains("2026-01-31"), "{wrong}");
        }
        for wrong in ["", "2026-01-31", "2026-01-31T08:00:00", "tomorrow", "9999-12-31T23:59:59-23:59"] {
            assert!(time(wrong).unwrap_err().contains("2026-01-31T08:00:00Z"), "{wrong}");
        }
        for wrong in ["-5s", "0s", "5", "s", "infs", "NaNs", "1d"] {
            assert!(seconds(wrong).unwrap_err().contains("500ms"), "{wrong}");
        }
        for wrong in ["-1", "0", "2", "NaN", "a"] {
            assert!(share(wrong).unwrap_err().contains("0.25"), "{wrong}");
        }
        for wrong in ["1.5", "a", ""] {
            assert!(count(wrong).unwrap_err().contains("such as 20"), "{wrong}");
        }
        for wrong in ["inf", "NaN", "a"] {
            assert!(weight(wrong).unwrap_err().contains("0.5"), "{wrong}");
        }
        assert_eq!(day("2026-01-31").unwrap().to_string(), "2026-01-31");
        assert_eq!(time("2026-01-31T08:00:00+01:00").unwrap().to_rfc3339(), "2026-01-31T07:00:00+00:00");
        assert!((seconds("500ms").unwrap() - 0.5).abs() < 1e-9);
    }
}
