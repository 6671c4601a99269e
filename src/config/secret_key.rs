//! `WEIRGATE_SECRET_KEY` and `WEIRGATE_SECRET_KEY_OLD`.

use weirgate_identity::{SecretKey, SecretKeys};

use super::reader::Reader;
use super::tokens::is_placeholder;

/// Its name.
pub(crate) const NAME: &str = "WEIRGATE_SECRET_KEY";

/// The name of the one that reads on.
pub(crate) const OLD: &str = "WEIRGATE_SECRET_KEY_OLD";

/// The keys, where one is set.
pub(super) fn read(r: &mut Reader<'_>) -> Option<SecretKeys> {
    let (current, old) = (r.checked(NAME, parse), r.checked(OLD, parse));
    match (current, old) {
        (Some(current), old) => Some(SecretKeys::new(current, old)),
        (None, Some(_)) if r.text(NAME).is_none() => {
            r.problems.push(format!("{OLD}: there is nothing that seals; set {NAME} as well"));
            None
        }
        _ => None,
    }
}

/// Reads a key; in an error, what is wrong and how to make a good one. It never repeats the key.
pub(crate) fn parse(text: &str) -> Result<SecretKey, String> {
    let hint = "set a random one, 32 bytes as 64 hex digits or in base64, such as the output of: openssl rand -hex 32";
    if is_placeholder(text) {
        return Err(format!("is a placeholder; {hint}"));
    }
    SecretKey::parse(text).map_err(|wrong| format!("{wrong}; {hint}"))
}
