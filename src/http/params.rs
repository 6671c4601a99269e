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

/// Most parameters of a request, beside ids. What each one costs may grow with their number, and work of the processor cannot be broken
/// off: so there are few.
const MOST: usize = 50;

/// Longest name of a parameter that goes into arguments.
const MAX_NAME: usize = 200;

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
    /// That there are too many parameters to look at; then nothing else is said.
    too_many: Option<String>,
}

impl Fields {
    pub(crate) fn of(query: Option<&str>) -> Self {
        let query = query.unwrap_or_default().as_bytes();
        // Counted before anything is kept of them.
        match too_many(form_urlencoded::parse(query).map(|(name, _)| name)) {
            None => Self::of_few(form_urlencoded::parse(query).into_owned().collect()),
            Some(message) => Self::refused(message),
        }
    }

    /// What a member of a body holds, to be read like parameters.
    pub(crate) fn of_pairs(pairs: Vec<(String, String)>) -> Self {
        match too_many(pairs.iter().map(|(name, _)| name)) {
            None => Self::of_few(pairs),
            Some(message) => Self::refused(message),
        }
    }

    /// Too many to look at, as [`too_many`] says.
    pub(crate) fn refused(message: String) -> Self {
        Self { too_many: Some(message), ..Self::of_few(Vec::new()) }
    }

    fn of_few(pairs: Vec<(String, String)>) -> Self {
        Self { pairs, errors: Vec::new(), too_many: None }
    }

    /// Parameters that nobody has taken.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// Takes over what was wrong with the member `name` of a body.
    pub(crate) fn fail_within(&mut self, name: &str, mut inner: Self) {
        if let Some(message) = inner.too_many {
            return self.fail(name, message);
        }
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
        !self.errors.is_empty() || self.too_many.is_some()
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
            if name.len() > MAX_NAME || <String as Parse>::parse(&name).is_err() {
                self.fail(&whole, format!("expected a name after the dot, of at most {MAX_NAME} characters"));
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
        // Each once, however often it is named.
        let mut states: Vec<JobState> = Vec::new();
        for text in self.all(name).iter().flat_map(|value| value.split(',')) {
            match text.trim().parse() {
                Ok(state) if states.contains(&state) => {}
                Ok(state) => states.push(state),
                Err(error) => {
                    self.fail(name, error);
                    return None;
                }
            }
        }
        (!states.is_empty()).then_some(states)
    }

    /// `value`, unless something was wrong or a parameter is left over.
    pub(crate) fn finish<T>(mut self, value: Option<T>) -> Result<T, Problem> {
        if let Some(message) = self.too_many {
            return Err(Problem::too_many_parameters(message));
        }
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

/// What is wrong where there are more parameters than may be.
pub(crate) fn too_many(names: impl Iterator<Item = impl AsRef<str>>) -> Option<String> {
    let (mut ids, mut others) = (0, 0);
    for name in names {
        *if name.as_ref() == "id" { &mut ids } else { &mut others } += 1;
    }
    (others > MOST || ids > MOST_IDS).then(|| {
        let given = ids + others;
        format!("{given} parameters were given; at most {MOST} are allowed, and beside them at most {MOST_IDS} times id")
    })
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
        weirgate_jobs::parse_day(text)
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
