//! Tokens that cannot be guessed.

use std::collections::BTreeSet;

use super::reader::ConfigError;

/// The token, unless it is a placeholder or easily guessed.
pub(super) fn checked_token(name: &str, token: &str) -> Result<String, ConfigError> {
    let plain: String = token.to_ascii_lowercase().replace(['-', '_', ' ', '.'], "");
    let begins =
        ["changeme", "changethis", "replaceme", "replacethis", "yourtoken", "example", "placeholder"];
    let whole = ["secret", "token", "servicetoken", "default"];
    let is_placeholder = begins.iter().any(|word| plain.starts_with(word)) || whole.contains(&&*plain);
    if is_placeholder || token.starts_with('<') {
        return Err(wrong_token(name, "is a placeholder"));
    }
    if token.len() < 16 {
        return Err(wrong_token(name, "is shorter than 16 characters"));
    }
    if token.chars().collect::<BTreeSet<_>>().len() < 6 {
        return Err(wrong_token(name, "repeats a few characters and is easily guessed"));
    }
    Ok(token.to_owned())
}

/// Says why, and how to make a good one.
pub(super) fn wrong_token(name: &str, why: &str) -> ConfigError {
    let hint = "set a random one, such as the output of: openssl rand -hex 32";
    ConfigError::new(vec![format!("{name}: {why}; {hint}")])
}
