//! How single values of a row are read and checked. Reasons are in words for people.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer};
use std::borrow::Cow;

/// The most characters an id, status or the like may have.
const MAX_KEY_CHARS: usize = 200;

/// The most characters of a bad value that a reason quotes.
const MAX_QUOTED_CHARS: usize = 60;

/// Quotes a value in a reason, shortened, with control characters made visible.
pub(super) fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_QUOTED_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

/// Whether a value is a word of an upstream, in any case of letters.
pub(super) fn is_word(value: &serde_json::Value, word: &str) -> bool {
    value.as_str().is_some_and(|text| text.trim().eq_ignore_ascii_case(word))
}

/// Checks a text by which rows are found or counted: not empty, at most 200 characters, no NUL.
pub(super) fn check_key(field: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err(format!("{field}: is empty"));
    }
    let chars = text.chars().count();
    if chars > MAX_KEY_CHARS {
        return Err(format!("{field}: has {chars} characters, more than {MAX_KEY_CHARS}"));
    }
    check_text(field, text)
}

/// Checks an optional text: no NUL, which Postgres text cannot hold.
pub(super) fn check_optional(field: &str, text: Option<&str>) -> Result<(), String> {
    text.map_or(Ok(()), |text| check_text(field, text))
}

fn check_text(field: &str, text: &str) -> Result<(), String> {
    if text.contains('\0') {
        return Err(format!("{field}: has a NUL character in it"));
    }
    Ok(())
}

/// Checks that a number lies between two others (which it may equal).
pub(super) fn check_between(field: &str, value: f64, low: f64, high: f64) -> Result<(), String> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(format!("{field}: {value} is not between {low} and {high}"))
}

/// Reads an instant, in RFC 3339. Kept to the microsecond, as Postgres does, so that a row read
/// again equals the row stored.
pub(super) fn instant<'de, D: Deserializer<'de>>(from: D) -> Result<DateTime<Utc>, D::Error> {
    let text = Text::deserialize(from)?.0;
    parse_instant(&text).map_err(D::Error::custom)
}

/// As [`instant`], where the field may be absent or null.
pub(super) fn maybe_instant<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let text = Option::<Text>::deserialize(from)?;
    text.map(|it| parse_instant(&it.0)).transpose().map_err(D::Error::custom)
}

/// Reads a calendar day, `YYYY-MM-DD`.
pub(super) fn day<'de, D: Deserializer<'de>>(from: D) -> Result<NaiveDate, D::Error> {
    let text = Text::deserialize(from)?.0;
    parse_day(&text).map_err(D::Error::custom)
}

/// A text borrowed from the input where it has no escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn parse_instant(text: &str) -> Result<DateTime<Utc>, String> {
    let bad = || format!("{} is not a timestamp", quoted(text));
    let parsed = timestamp(text).ok_or_else(bad)?;
    // Also folds a leap second (:60) into the next second, which Postgres does too.
    let instant = DateTime::from_timestamp_micros(parsed.timestamp_micros()).ok_or_else(bad)?;
    check_year(text, instant.year())?;
    Ok(instant)
}

fn timestamp(text: &str) -> Option<DateTime<chrono::FixedOffset>> {
    // chrono is more lenient than the format is (blanks, `t`): the fixed places are checked here.
    let bytes = text.as_bytes();
    if !bytes.first().is_some_and(u8::is_ascii_digit) || bytes.get(10) != Some(&b'T') {
        return None;
    }
    DateTime::parse_from_rfc3339(text).ok()
}

/// The time that a text without an offset has.
fn local(text: &str) -> Option<NaiveDateTime> {
    timestamp(&format!("{text}Z")).map(|it| it.naive_utc())
}

/// A timestamp without an offset, of a source that documents its times as UTC, with one; `None` for
/// any other text.
pub(super) fn as_utc(text: &str) -> Option<String> {
    local(text).map(|_| format!("{text}Z"))
}

/// A timestamp without an offset as the instant that it is in `zone`; `None` for any other text.
pub(super) fn instant_in(text: &str, zone: Tz) -> Option<String> {
    Some(local_instant(local(text)?, zone).to_rfc3339())
}

/// The day in `zone` on which a timestamp falls; `None` for any other text.
pub(super) fn day_in(text: &str, zone: Tz) -> Option<String> {
    let day = match timestamp(text) {
        Some(instant) => instant.with_timezone(&zone).date_naive(),
        None => local(text)?.date(),
    };
    Some(day.to_string())
}

/// Of a time that there is twice, as the clocks go back, the first; one that there is not, as they
/// go forward, is counted on from the day before.
fn local_instant(time: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    let day = TimeDelta::days(1);
    let first = |time| zone.from_local_datetime(&time).earliest();
    let there = first(time).or_else(|| Some(first(time.checked_sub_signed(day)?)? + day));
    there.map_or_else(|| time.and_utc(), |it| it.to_utc())
}

fn parse_day(text: &str) -> Result<NaiveDate, String> {
    let parsed = NaiveDate::parse_from_str(text, "%Y-%m-%d");
    // chrono also takes `2026-1-5`; two ways to write one day are one too many.
    let day = parsed.ok().filter(|it| it.to_string() == text);
    let day = day.ok_or_else(|| format!("{} is not a date", quoted(text)))?;
    check_year(text, day.year())?;
    Ok(day)
}

fn check_year(text: &str, year: i32) -> Result<(), String> {
    if (1970..2100).contains(&year) {
        return Ok(());
    }
    Err(format!("{} is not between 1970 and 2099", quoted(text)))
}
