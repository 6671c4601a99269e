//! Turns a row's text into a typed row, or into the reason why not.

use chrono_tz::Tz;
use serde_json::error::Category;
use serde_json::{Map, Value};

use super::rows::Row;
use super::values::{day_in, instant_in, quoted};

/// The most characters a reason has.
const MAX_REASON_CHARS: usize = 300;

/// Reads one row's text and checks it against every rule.
///
/// Fields this service does not know are passed over, since sources grow fields. A row of another
/// tenant is refused; a row which names none is taken as the given tenant's. Days, and times that
/// name no zone, are those of the tenant's `zone`.
///
/// # Errors
///
/// What is wrong with the row, short and in words for people; at most 300 characters, without
/// control characters.
pub fn parse<R: Row>(text: &str, tenant_slug: &str, zone: Tz) -> Result<R, String> {
    check(text, tenant_slug, zone).map_err(|reason: String| {
        let plain = reason.chars().filter(|it| !it.is_control());
        plain.take(MAX_REASON_CHARS).collect()
    })
}

fn check<R: Row>(text: &str, tenant_slug: &str, zone: Tz) -> Result<R, String> {
    // serde would also fill a struct from an array, by position.
    if text.trim_start().starts_with('[') {
        return Err("row is not a JSON object but an array".to_owned());
    }
    let row: R = match serde_json::from_str(text) {
        Ok(row) => row,
        // Only what needs the zone is read a second time: most rows do not.
        Err(error) => match placed::<R>(text, zone) {
            Some(text) => serde_json::from_str(&text).map_err(|error| explain::<R>(&text, &error))?,
            None => return Err(explain::<R>(text, &error)),
        },
    };
    match row.tenant() {
        Some(tenant) if tenant != tenant_slug => {
            return Err(format!("tenant_id: {} is another tenant", quoted(tenant)));
        }
        _ => row.validate()?,
    }
    Ok(row)
}

/// The row with its instants and days as they are in the zone; `None` where that changes nothing.
fn placed<R: Row>(text: &str, zone: Tz) -> Option<String> {
    let mut row: Map<String, Value> = serde_json::from_str(text).ok()?;
    let mut is_changed = false;
    let mut place = |fields: &[&str], placed: fn(&str, Tz) -> Option<String>| {
        for field in fields {
            let value = row.get_mut(*field);
            if let Some(value) = value
                && let Some(placed) = value.as_str().and_then(|text| placed(text, zone))
            {
                *value = placed.into();
                is_changed = true;
            }
        }
    };
    place(R::INSTANTS, instant_in);
    place(R::DAYS, day_in);
    is_changed.then(|| Value::Object(row).to_string())
}

/// Puts a parser's error in words. The text is read a second time to learn which field it was:
/// following the path costs time that good rows need not spend.
fn explain<R: Row>(text: &str, error: &serde_json::Error) -> String {
    let full = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what = full.strip_suffix(&place).unwrap_or(&full);
    if error.classify() != Category::Data {
        return match error.line() {
            0 | 1 => format!("line is not JSON: {what} at column {}", error.column()),
            line => format!("row is not JSON: {what} at column {} of its line {line}", error.column()),
        };
    }
    if let Some(field) = what.strip_prefix("missing field `").and_then(|it| it.strip_suffix('`')) {
        return format!("{field}: is missing");
    }
    let again: Result<R, _> = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text));
    match again.map_err(|error| error.path().to_string()) {
        Err(path) if path != "." => format!("{path}: {what}"),
        _ => format!("row: {what}"),
    }
}
