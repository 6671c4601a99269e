//! Fields of forms, the same on every page: with suggestions, with what was given, and with what is
//! wrong with it beside it.

mod choices;

use std::borrow::Cow;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{NaiveDate, NaiveDateTime};

use super::frame::page;
use super::refusal::Refusal;
use crate::day::parse_day;
use crate::problem::{FieldError, Problem, Shown};

pub use choices::Choices;

/// The lists of names that fields suggest, as `suggestions.html` has them.
pub const KINDS: &str = "kinds";
pub const QUEUES: &str = "queues";
pub const TENANTS: &str = "tenants";
pub const ZONES: &str = "zones";

/// How `datetime-local` has times.
const LOCAL_TIME: &str = "%Y-%m-%dT%H:%M";

/// What is wrong with what a form was sent with, and how the page is answered that shows it again.
#[derive(Debug)]
pub struct Wrong {
    status: StatusCode,
    errors: Vec<FieldError>,
}

impl Wrong {
    /// What a problem says of fields; `tenant` is the field that names tenants. A problem that is
    /// of no field's making is refused as a page of its own.
    pub fn of(problem: Problem, tenant: &'static str) -> Result<Self, Refusal> {
        let (status, errors) = problem.by_field(tenant).map_err(Refusal::from)?;
        Ok(Self { status, errors })
    }

    /// The page with the form.
    pub fn page(&self, template: &impl Template) -> Response {
        let mut response = page(template);
        *response.status_mut() = self.status;
        response.extensions_mut().insert(Shown);
        response
    }
}

/// What a form was sent with, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Given {
    pub pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Given {
    pub fn new(pairs: Vec<(String, String)>, wrong: Option<&Wrong>) -> Self {
        Self { pairs, errors: wrong.map(|wrong| wrong.errors.clone()).unwrap_or_default() }
    }

    pub fn of(&self, wanted: &str) -> &str {
        self.pairs.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value)
    }

    /// A field for a text.
    pub fn field(&self, name: &'static str, label: impl Into<Cow<'static, str>>) -> Field {
        let wrong = self.errors.iter().filter(|error| error.field == name);
        Field {
            name,
            label: label.into(),
            kind: "text",
            value: self.of(name).to_owned(),
            wrong: wrong.map(|error| error.message.clone()).collect(),
            ..Field::default()
        }
    }

    /// Shows at the field `name` what is wrong with `other`, which it stands for.
    pub fn shown_at(&mut self, name: &str, other: &str) {
        for error in self.errors.iter_mut().filter(|error| error.field == other) {
            error.message = format!("{other}: {}", error.message);
            name.clone_into(&mut error.field);
        }
    }

    /// These fields as the form of a filter.
    pub fn filter(&self, fields: Vec<Field>) -> FilterForm {
        let others = self.elsewhere(&fields.iter().collect::<Vec<_>>());
        FilterForm { fields, others, is_wrong: !self.errors.is_empty() }
    }

    /// What is wrong with what none of these fields is for.
    pub fn elsewhere(&self, fields: &[&Field]) -> Vec<String> {
        let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
        self.beside(&names)
    }

    /// What is wrong with what is called otherwise.
    pub fn beside(&self, names: &[&str]) -> Vec<String> {
        let has_no_field = |error: &&FieldError| !names.contains(&error.field.as_str());
        let told = |error: &FieldError| format!("{}: {}", error.field, error.message);
        self.errors.iter().filter(has_no_field).map(told).collect()
    }
}

/// The query of another page of the same list: `name` says where that begins.
pub fn at_page(pairs: &[(String, String)], name: &str, value: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs.iter().filter(|(other, _)| other != name));
    query.append_pair(name, value).finish()
}

/// The form of a filter.
pub struct FilterForm {
    pub fields: Vec<Field>,
    /// What is wrong with what none of the fields is for.
    pub others: Vec<String>,
    /// Whether anything is wrong, so that nothing is listed.
    pub is_wrong: bool,
}

/// One field with its label.
#[derive(Debug, Default, Template)]
#[template(path = "field.html")]
pub struct Field {
    name: &'static str,
    label: Cow<'static, str>,
    /// The label is for those alone who hear the page: what stands around the field tells others.
    is_heard: bool,
    kind: &'static str,
    value: String,
    placeholder: &'static str,
    /// What is to be known of it, below it.
    hint: &'static str,
    list: Option<&'static str>,
    options: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    /// What browsers fill in.
    autocomplete: &'static str,
    /// Of several lines: how many are seen at once.
    lines: Option<u8>,
    required: bool,
    /// Of a number: the least, the most.
    range: Option<(&'static str, &'static str)>,
    /// The number may have a fraction.
    is_fraction: bool,
    wrong: Vec<String>,
}

impl Field {
    /// The same with suggestions.
    #[must_use]
    pub fn suggesting(self, list: &'static str) -> Self {
        Self { list: Some(list), ..self }
    }

    /// The same where what stands around it tells what it is for; its label is only heard.
    #[must_use]
    pub fn heard(self) -> Self {
        Self { is_heard: true, ..self }
    }

    #[must_use]
    pub fn with_placeholder(self, placeholder: &'static str) -> Self {
        Self { placeholder, ..self }
    }

    /// The same with what is to be known of it, below it.
    #[must_use]
    pub fn with_hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }

    /// The same, which has to be given.
    #[must_use]
    pub fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// For a text that is looked for.
    #[must_use]
    pub fn search(self) -> Self {
        Self { kind: "search", ..self }
    }

    /// For one of these: a value and its words.
    #[must_use]
    pub fn choice<T: Into<Cow<'static, str>>>(self, options: Vec<(T, T)>) -> Self {
        let options = options.into_iter().map(|(value, words)| (value.into(), words.into()));
        Self { options: options.collect(), ..self }
    }

    /// For an email address.
    #[must_use]
    pub fn email(self) -> Self {
        Self { kind: "email", autocomplete: "off", ..self }
    }

    /// For a password, which is never shown again; `autocomplete` says which one it is.
    #[must_use]
    pub fn password(self, autocomplete: &'static str) -> Self {
        Self { kind: "password", value: String::new(), autocomplete, required: true, ..self }
    }

    /// For several values, one a line.
    #[must_use]
    pub fn lines(self, seen: u8) -> Self {
        Self { lines: Some(seen), ..self }
    }

    /// With what browsers fill in, such as `name`.
    #[must_use]
    pub fn filled_in(self, autocomplete: &'static str) -> Self {
        Self { autocomplete, ..self }
    }

    /// For a number that may have a fraction.
    #[must_use]
    pub fn fraction(self, least: &'static str, most: &'static str) -> Self {
        Self { is_fraction: true, ..self.number(least, most) }
    }

    /// For a whole number.
    #[must_use]
    pub fn number(self, least: &'static str, most: &'static str) -> Self {
        let kind = if self.value.parse::<f64>().is_ok() || self.value.is_empty() { "number" } else { "text" };
        Self { kind, range: Some((least, most)), ..self }
    }

    /// For a day.
    #[must_use]
    pub fn day(self) -> Self {
        let kind = kind_for(&self.value, "date", |text| parse_day(text).is_ok());
        Self { kind, ..self }
    }

    /// For a time in UTC, which its label has to say.
    #[must_use]
    pub fn time(mut self) -> Self {
        if let Some(at) = utc(&self.value) {
            let seconds = if at.format("%S").to_string() == "00" { "" } else { ":%S" };
            self.value = at.format(&format!("{LOCAL_TIME}{seconds}")).to_string();
        }
        let kind = kind_for(&self.value, "datetime-local", |text| local(text).is_some());
        Self { kind, ..self }
    }

    pub fn is_wrong(&self) -> bool {
        !self.wrong.is_empty()
    }

    pub fn is_given(&self) -> bool {
        !self.value.is_empty()
    }

    /// The ids of what is told about it.
    fn described_by(&self) -> String {
        let parts = [("wrong", self.is_wrong()), ("hint", !self.hint.is_empty())];
        let told = parts.into_iter().filter(|(_, told)| *told);
        told.map(|(part, _)| format!("{part}-{}", self.name)).collect::<Vec<_>>().join(" ")
    }

    fn is_chosen(&self, option: &str) -> bool {
        self.value == option
    }
}

/// Browsers do not show what is none of a kind's values, but it is to be seen and mended: then it
/// is a text.
fn kind_for(value: &str, kind: &'static str, fits: impl Fn(&str) -> bool) -> &'static str {
    if value.is_empty() || fits(value) { kind } else { "text" }
}

/// A time without a zone, as `datetime-local` has it, or a day, which stands for its midnight.
fn local(text: &str) -> Option<NaiveDateTime> {
    let formats = [LOCAL_TIME, "%Y-%m-%dT%H:%M:%S%.f"];
    let time = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    time.or_else(|| text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0))
}

/// The time in UTC of a text that says its zone.
fn utc(text: &str) -> Option<NaiveDateTime> {
    chrono::DateTime::parse_from_rfc3339(text).ok().map(|at| at.naive_utc())
}

/// What a field for a time in UTC has sent, as the API takes it; any other text as it is.
pub fn sent_time(text: String) -> String {
    match local(text.trim()) {
        Some(at) => format!("{}Z", at.format("%Y-%m-%dT%H:%M:%S%.f")),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(value: &str) -> Field {
        Given::new(vec![("at".to_owned(), value.to_owned())], None).field("at", "At")
    }

    #[test]
    fn times_are_those_of_utc_and_what_is_none_stays_to_be_mended() {
        for (value, kind, shown) in [
            ("2026-01-31T08:00:00Z", "datetime-local", "2026-01-31T08:00"),
            ("2026-01-31T08:00:05+01:00", "datetime-local", "2026-01-31T07:00:05"),
            ("2026-01-31T08:00", "datetime-local", "2026-01-31T08:00"),
            ("", "datetime-local", ""),
            ("yesterday", "text", "yesterday"),
        ] {
            let field = given(value).time();
            assert_eq!((field.kind, field.value.as_str()), (kind, shown), "{value}");
        }
        for (sent, taken) in [
            ("2026-01-31T08:00", "2026-01-31T08:00:00Z"),
            ("2026-01-31T08:00:05", "2026-01-31T08:00:05Z"),
            ("2026-01-31", "2026-01-31T00:00:00Z"),
            ("2026-01-31T08:00:00+01:00", "2026-01-31T08:00:00+01:00"),
            ("2026-02-30", "2026-02-30"),
        ] {
            assert_eq!(sent_time(sent.to_owned()), taken);
        }
    }

    #[test]
    fn days_and_numbers_are_kept_as_they_were_given() {
        assert_eq!(given("2026-01-31").day().kind, "date");
        assert_eq!(given("31.1.2026").day().kind, "text");
        assert_eq!(given("7").number("1", "10").kind, "number");
        assert_eq!(given("seven").number("1", "10").kind, "text");
    }

    #[test]
    fn what_is_wrong_stands_beside_its_field() {
        let errors = [("at", "expected a day"), ("other", "unknown parameter")]
            .map(|(field, message)| FieldError { field: field.to_owned(), message: message.to_owned() });
        let wrong = Wrong { status: StatusCode::UNPROCESSABLE_ENTITY, errors: errors.into() };
        let given = Given::new(vec![("at".to_owned(), "<today>".to_owned())], Some(&wrong));
        let field = given.field("at", "At").day();
        let html = field.to_string();
        for said in
            ["aria-invalid=\"true\"", "aria-describedby=\"wrong-at\"", "expected a day", "&#60;today&#62;"]
        {
            assert!(html.contains(said), "{said}: {html}");
        }
        assert_eq!(given.elsewhere(&[&field]), ["other: unknown parameter"]);
    }
}
