//! Query parameters, read by hand rather than by serde: all that is wrong with a request is told at
//! once, and what is unknown or given twice with different values is refused.
//!
//! Clients such as n8n send parameters that nobody has filled in, and send their own beside those
//! of a page's `next`: what is blank counts as not given, and equal values as one.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};
use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_queue::lanes::InvalidLimit;

use crate::parse::{Parse, whole_number};
use crate::prefer::LONGEST_WAIT;
use crate::problem::{FieldError, Problem};

/// Most ids in one parameter.
const MOST_IDS: usize = 500;

/// Most parameters of a request, beside ids. What each one costs may grow with their number, and
/// work of the processor cannot be broken off: so there are few.
const MOST: usize = 50;

/// Longest name of a parameter that goes into arguments.
const MAX_NAME: usize = 200;

/// What can be read from query parameters; [`query_params!`](crate::query_params!) makes one.
pub trait FromQuery: Sized {
    /// Takes its parameters. May answer `None` once `fields` holds an error.
    fn take(fields: &mut Fields) -> Option<Self>;

    /// Its parameters, for the documentation of every operation that extracts it.
    fn parameters() -> Vec<Parameter>;
}

/// Reads the parameter `name` as `read` does.
#[doc(hidden)]
pub fn read<T>(fields: &mut Fields, name: &str, read: impl FnOnce(&mut Fields, &str) -> T) -> T {
    read(fields, name)
}

/// Extracts a [`FromQuery`]; refuses every other parameter.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: FromQuery, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut fields = Fields::of(parts.uri.query());
        let value = T::take(&mut fields);
        fields.finish(value).map(Query)
    }
}

impl<T: FromQuery> IntoParams for Query<T> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        T::parameters()
    }
}

/// No parameters.
impl FromQuery for () {
    fn take(_: &mut Fields) -> Option<Self> {
        Some(())
    }

    fn parameters() -> Vec<Parameter> {
        Vec::new()
    }
}

/// Parameters not taken yet, and what was found wrong so far.
#[derive(Debug)]
pub struct Fields {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
    /// What was looked for so far: the parameters that there can be.
    known: BTreeSet<String>,
    /// That there are too many parameters to look at; then nothing else is said.
    too_many: Option<String>,
}

impl Fields {
    pub fn of(query: Option<&str>) -> Self {
        let query = query.unwrap_or_default().as_bytes();
        // Counted before anything is kept of them.
        match too_many(form_urlencoded::parse(query).map(|(name, _)| name)) {
            None => Self::of_few(form_urlencoded::parse(query).into_owned().collect()),
            Some(message) => Self::refused(message),
        }
    }

    /// What a member of a body holds, to be read like parameters.
    pub fn of_pairs(pairs: Vec<(String, String)>) -> Self {
        match too_many(pairs.iter().map(|(name, _)| name)) {
            None => Self::of_few(pairs),
            Some(message) => Self::refused(message),
        }
    }

    /// Too many to look at, as [`too_many`] says.
    pub fn refused(message: String) -> Self {
        Self { too_many: Some(message), ..Self::of_few(Vec::new()) }
    }

    fn of_few(mut pairs: Vec<(String, String)>) -> Self {
        // An empty row of a form.
        pairs.retain(|(name, value)| !is_blank(name) || !is_blank(value));
        Self { pairs, errors: Vec::new(), known: BTreeSet::new(), too_many: None }
    }

    /// Parameters that nobody has taken.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// Takes over what was wrong with the member `name` of a body.
    pub fn fail_within(&mut self, name: &str, mut inner: Self) {
        if let Some(message) = inner.too_many {
            return self.fail(name, message);
        }
        inner.refuse_unknown();
        self.errors.extend(
            inner.errors.into_iter().map(|it| FieldError { field: format!("{name}.{}", it.field), ..it }),
        );
    }

    pub fn fail(&mut self, field: &str, message: impl Display) {
        self.errors.push(FieldError { field: field.to_owned(), message: message.to_string() });
    }

    /// Takes over limits that cannot be set.
    pub fn fail_all(&mut self, wrong: Vec<InvalidLimit>) {
        for InvalidLimit { field, message } in wrong {
            self.fail(field, message);
        }
    }

    /// Whether something was wrong so far.
    pub fn has_failed(&self) -> bool {
        !self.errors.is_empty() || self.too_many.is_some()
    }

    /// All values of a parameter that may be repeated, each once.
    pub fn all(&mut self, name: &str) -> Vec<String> {
        self.known.insert(name.to_owned());
        self.take(name)
    }

    fn take(&mut self, name: &str) -> Vec<String> {
        let (taken, rest): (Vec<_>, _) =
            std::mem::take(&mut self.pairs).into_iter().partition(|(given, _)| given == name);
        self.pairs = rest;
        let mut met = HashSet::new();
        let values = taken.into_iter().map(|(_, value)| value);
        values.filter(|value| !is_blank(value) && met.insert(value.clone())).collect()
    }

    /// The value of a parameter that has one.
    pub fn one(&mut self, name: &str) -> Option<String> {
        self.known.insert(name.to_owned());
        self.take_one(name)
    }

    fn take_one(&mut self, name: &str) -> Option<String> {
        let mut values = self.take(name);
        if values.len() > 1 {
            self.fail(name, "given more than once, with different values");
            return None;
        }
        values.pop()
    }

    pub fn get<T: Parse>(&mut self, name: &str) -> Option<T> {
        let text = self.one(name)?;
        self.parse(name, &text)
    }

    pub fn required<T: Parse>(&mut self, name: &str) -> Option<T> {
        if !self.pairs.iter().any(|(given, value)| given == name && !is_blank(value)) {
            self.all(name);
            self.fail(name, "required");
            return None;
        }
        self.get(name)
    }

    pub fn in_range(&mut self, name: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let text = self.one(name)?;
        match whole_number(&text) {
            Some(number) if range.contains(&number) => Some(number),
            _ => {
                self.fail(name, format!("expected a whole number from {} to {}", range.start(), range.end()));
                None
            }
        }
    }

    pub fn parse<T: Parse>(&mut self, name: &str, text: &str) -> Option<T> {
        T::parse(text).map_err(|message| self.fail(name, message)).ok()
    }

    /// The values of all parameters whose names begin with `prefix`, by the rest of their names.
    pub fn below(&mut self, prefix: &str) -> BTreeMap<String, String> {
        self.known.insert(format!("{prefix}…"));
        let names = self.pairs.iter().filter_map(|(name, _)| name.strip_prefix(prefix));
        let names: BTreeSet<String> = names.map(str::to_owned).collect();
        let mut below = BTreeMap::new();
        for name in names {
            let whole = format!("{prefix}{name}");
            if is_blank(&name) && self.pairs.iter().all(|(given, value)| *given != whole || is_blank(value)) {
                self.take(&whole);
            } else if name.len() > MAX_NAME || <String as Parse>::parse(&name).is_err() {
                self.fail(&whole, format!("expected a name after the dot, of at most {MAX_NAME} characters"));
                self.take(&whole);
            } else if let Some(value) = self.take_one(&whole)
                && let Some(value) = self.parse(&whole, &value)
            {
                below.insert(name, value);
            }
        }
        below
    }

    /// The ids of a parameter that may be repeated.
    pub fn uuids(&mut self, name: &str) -> Option<Vec<Uuid>> {
        let texts = self.all(name);
        if texts.len() > MOST_IDS {
            self.fail(name, format!("expected at most {MOST_IDS}"));
            return None;
        }
        let ids: Vec<Uuid> = texts.iter().filter_map(|text| self.parse(name, text)).collect();
        (!ids.is_empty()).then_some(ids)
    }

    /// The states of all values; each value may name several, with commas between.
    pub fn states(&mut self, name: &str) -> Option<Vec<JobState>> {
        // Each once, however often it is named.
        let mut states: Vec<JobState> = Vec::new();
        let given = self.all(name);
        for text in given.iter().flat_map(|value| value.split(',')).map(str::trim) {
            match text.parse() {
                _ if text.is_empty() => {}
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
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, Problem> {
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
        let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
        let expected = match known.as_slice() {
            [] => "nothing is expected here".to_owned(),
            known => format!("expected {}", known.join(", ")),
        };
        for name in unknown {
            let what = if is_blank(&name) { "a parameter without a name" } else { "unknown parameter" };
            self.fail(&name, format!("{what}; {expected}"));
        }
    }
}

/// Whether a text says nothing.
pub fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// What is wrong where there are more parameters than may be.
pub fn too_many(names: impl Iterator<Item = impl AsRef<str>>) -> Option<String> {
    let (mut ids, mut others) = (0, 0);
    for name in names {
        *if name.as_ref() == "id" { &mut ids } else { &mut others } += 1;
    }
    (others > MOST || ids > MOST_IDS).then(|| {
        let given = ids + others;
        format!("{given} parameters were given; at most {MOST} are allowed, and beside them at most {MOST_IDS} times id")
    })
}

/// `?wait=` of a request whose parameters were not checked yet.
pub fn wait_of(query: Option<&str>) -> Option<Duration> {
    form_urlencoded::parse(query?.as_bytes())
        .filter(|(name, _)| name == "wait")
        .find_map(|(_, value)| u64::try_from(whole_number(&value)?).ok())
        .map(Duration::from_secs)
}

/// How long to hold the request; as long as is allowed, where more is asked for.
pub fn take_wait(fields: &mut Fields, name: &str) -> Option<Duration> {
    let seconds = fields.one(name)?;
    let wait = whole_number(&seconds).and_then(|seconds| u64::try_from(seconds).ok());
    if wait.is_none() {
        fields.fail(name, "expected a whole number of seconds, such as 30");
    }
    wait.map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

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

    #[test]
    fn what_is_blank_is_not_given_and_equal_values_are_one() {
        let query =
            "=&%20=+&limit=2&limit=2&limit=&state=&state=running,&date=&id=&args.=&args.day=&flag=TRUE";
        let mut fields = Fields::of(Some(query));
        assert_eq!(fields.in_range("limit", 1..=5), Some(2));
        assert_eq!(fields.states("state"), Some(vec![JobState::Running]));
        assert_eq!(fields.get::<NaiveDate>("date"), None);
        assert_eq!(fields.uuids("id"), None);
        assert!(fields.below("args.").is_empty());
        assert_eq!(fields.get("flag"), Some(true));
        assert!(fields.finish(Some(())).is_ok());
        let mut fields = Fields::of(Some("d=%20&nonsense=&=x"));
        let _: Option<String> = fields.required("d");
        fields.refuse_unknown();
        let names: Vec<&str> = fields.errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(names, ["d", "nonsense", ""], "an unknown name stays unknown");
    }

    #[test]
    fn a_wait_beyond_the_longest_is_the_longest() {
        for (query, seconds) in
            [("wait=90", Some(60)), ("wait=&wait=5", Some(5)), ("wait=", None), ("", None)]
        {
            let mut fields = Fields::of(Some(query));
            assert_eq!(take_wait(&mut fields, "wait"), seconds.map(Duration::from_secs), "{query}");
            assert!(!fields.has_failed());
        }
        for bad in ["wait=-1", "wait=soon", "wait=1.5"] {
            let mut fields = Fields::of(Some(bad));
            assert!(take_wait(&mut fields, "wait").is_none() && fields.has_failed(), "{bad}");
        }
    }
}
