//! Query parameters, read by hand rather than by serde: all that is wrong with a request is told at once, and what
//! is unknown or given twice is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_queue::lanes::check::WrongLimit;

use crate::http::prefer::LONGEST_WAIT;
use crate::http::problem::{FieldError, Problem};

/// Longest text a parameter may have.
const MAX_TEXT: usize = 2000;

/// Most ids in one parameter.
const MOST_IDS: usize = 500;

/// What can be read from query parameters.
pub(crate) trait FromQuery: Sized {
    /// Takes its parameters. May answer `None` once `fields` holds an error.
    fn take(fields: &mut Fields) -> Option<Self>;
}

/// Extracts a [`FromQuery`]; refuses every other parameter.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: FromQuery, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut fields = Fields::of(parts.uri.query());
        let value = T::take(&mut fields);
        fields.finish(value).map(Query)
    }
}

/// No parameters.
impl FromQuery for () {
    fn take(_: &mut Fields) -> Option<Self> {
        Some(())
    }
}

/// Parameters not taken yet, and what was found wrong so far.
#[derive(Debug)]
pub(crate) struct Fields {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Fields {
    pub(crate) fn of(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
        Self { pairs, errors: Vec::new() }
    }

    /// What a member of a body holds, to be read like parameters.
    pub(crate) fn of_pairs(pairs: Vec<(String, String)>) -> Self {
        Self { pairs, errors: Vec::new() }
    }

    /// Parameters that nobody has taken.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// Takes over what was wrong with the member `name` of a body.
    pub(crate) fn fail_within(&mut self, name: &str, mut inner: Self) {
        inner.refuse_unknown();
        self.errors.extend(
            inner.errors.into_iter().map(|it| FieldError { field: format!("{name}.{}", it.field), ..it }),
        );
    }

    pub(crate) fn fail(&mut self, field: &str, message: impl Display) {
        self.errors.push(FieldError { field: field.to_owned(), message: message.to_string() });
    }

    /// Takes over limits that cannot be set.
    pub(crate) fn fail_all(&mut self, wrong: Vec<WrongLimit>) {
        for WrongLimit { field, message } in wrong {
            self.fail(field, message);
        }
    }

    /// Whether something was wrong so far.
    pub(crate) fn has_failed(&self) -> bool {
        !self.errors.is_empty()
    }

    /// All values of a parameter that may be repeated.
    pub(crate) fn all(&mut self, name: &str) -> Vec<String> {
        let (taken, rest) = std::mem::take(&mut self.pairs).into_iter().partition(|(given, _)| given == name);
        self.pairs = rest;
        let values: Vec<(String, String)> = taken;
        values.into_iter().map(|(_, value)| value).collect()
    }

    /// The value of a parameter that may be given once.
    fn one(&mut self, name: &str) -> Option<String> {
        let mut values = self.all(name);
        if values.len() > 1 {
            self.fail(name, "given more than once");
            return None;
        }
        values.pop()
    }

    pub(crate) fn get<T: Parse>(&mut self, name: &str) -> Option<T> {
        let text = self.one(name)?;
        self.parse(name, &text)
    }

    pub(crate) fn required<T: Parse>(&mut self, name: &str) -> Option<T> {
        if !self.pairs.iter().any(|(given, _)| given == name) {
            self.fail(name, "required");
            return None;
        }
        self.get(name)
    }

    pub(crate) fn in_range(&mut self, name: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let text = self.one(name)?;
        match text.parse::<i64>() {
            Ok(number) if range.contains(&number) => Some(number),
            _ => {
                self.fail(name, format!("expected a whole number from {} to {}", range.start(), range.end()));
                None
            }
        }
    }

    pub(crate) fn parse<T: Parse>(&mut self, name: &str, text: &str) -> Option<T> {
        T::parse(text).map_err(|message| self.fail(name, message)).ok()
    }

    /// The values of all parameters whose names begin with `prefix`, by the rest of their names.
    pub(crate) fn below(&mut self, prefix: &str) -> BTreeMap<String, String> {
        let names = self.pairs.iter().filter_map(|(name, _)| name.strip_prefix(prefix));
        let names: BTreeSet<String> = names.map(str::to_owned).collect();
        let mut below = BTreeMap::new();
        for name in names {
            let whole = format!("{prefix}{name}");
            if <String as Parse>::parse(&name).is_err() {
                self.fail(&whole, "expected a name after the dot");
                self.all(&whole);
            } else if let Some(value) = self.get(&whole) {
                below.insert(name, value);
            }
        }
        below
    }

    /// The ids of a parameter that may be repeated.
    pub(crate) fn uuids(&mut self, name: &str) -> Option<Vec<Uuid>> {
        let texts = self.all(name);
        if texts.len() > MOST_IDS {
            self.fail(name, format!("expected at most {MOST_IDS}"));
            return None;
        }
        let ids: Vec<Uuid> = texts.iter().filter_map(|text| self.parse(name, text)).collect();
        (!ids.is_empty()).then_some(ids)
    }

    /// The states of all values; each value may name several, with commas between.
    pub(crate) fn states(&mut self, name: &str) -> Option<Vec<JobState>> {
        let values = self.all(name);
        let states = values.iter().flat_map(|value| value.split(','));
        let states: Result<Vec<JobState>, _> = states.map(|state| state.trim().parse()).collect();
        match states {
            Ok(states) => (!states.is_empty()).then_some(states),
            Err(error) => {
                self.fail(name, error);
                None
            }
        }
    }

    /// `value`, unless something was wrong or a parameter is left over.
    pub(crate) fn finish<T>(mut self, value: Option<T>) -> Result<T, Problem> {
        self.refuse_unknown();
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(Problem::invalid(self.errors)),
        }
    }

    fn refuse_unknown(&mut self) {
        let mut unknown: Vec<String> =
            std::mem::take(&mut self.pairs).into_iter().map(|(name, _)| name).collect();
        unknown.dedup();
        for name in unknown {
            self.fail(&name, "unknown parameter");
        }
    }
}

/// A value of a parameter, or what was expected instead.
pub(crate) trait Parse: Sized {
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
        text.parse().map_err(|_| "expected a UUID".to_owned())
    }
}

impl Parse for bool {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "expected true or false".to_owned())
    }
}

impl Parse for f64 {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
            .ok()
            .filter(|number: &Self| number.is_finite())
            .ok_or_else(|| "expected a number".to_owned())
    }
}

impl Parse for NaiveDate {
    fn parse(text: &str) -> Result<Self, String> {
        // chrono alone would also take "+2026-1-1".
        let shape = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        shape
            .then(|| Self::parse_from_str(text, "%Y-%m-%d").ok())
            .flatten()
            .ok_or_else(|| "expected a date such as 2026-01-31".to_owned())
    }
}

impl Parse for DateTime<Utc> {
    fn parse(text: &str) -> Result<Self, String> {
        DateTime::parse_from_rfc3339(text)
            .map(|at| at.to_utc())
            .map_err(|_| "expected an RFC 3339 time such as 2026-01-31T08:00:00Z".to_owned())
    }
}

/// `?wait=` of a request whose parameters were not checked yet.
pub(crate) fn wait_of(query: Option<&str>) -> Option<Duration> {
    form_urlencoded::parse(query?.as_bytes())
        .find(|(name, _)| name == "wait")
        .and_then(|(_, value)| value.parse().ok())
        .map(Duration::from_secs)
}

/// `?wait=`: how long to hold the request.
pub(crate) fn take_wait(fields: &mut Fields) -> Option<Duration> {
    let longest = i64::try_from(LONGEST_WAIT.as_secs()).unwrap_or(i64::MAX);
    fields.in_range("wait", 0..=longest).map(|seconds| Duration::from_secs(seconds.unsigned_abs()))
}

/// A tenant by slug or UUID.
#[derive(Debug, Clone)]
pub(crate) struct TenantName(pub(crate) String);

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
    fn everything_wrong_is_told() {
        let mut fields = Fields::of(Some("a=1&a=2&b=x&c=1&state=running,done"));
        let _: Option<String> = fields.get("a");
        let _: Option<Uuid> = fields.get("b");
        let _ = fields.states("state");
        let _: Option<String> = fields.required("d");
        let names: Vec<&str> = fields.errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(names, ["a", "b", "state", "d"]);
        assert!(fields.finish(Some(())).is_err());
    }
}
