//! Tokens that cannot be guessed.

use std::collections::BTreeSet;

use super::reader::ConfigError;

/// Whether a text only stands for a secret, as in examples.
pub(super) fn is_placeholder(text: &str) -> bool {
    let plain: String = text.to_ascii_lowercase().replace(['-', '_', ' ', '.'], "");
    let begins = [
        "changeme",
        "changethis",
        "replaceme",
        "replacethis",
        "yourtoken",
        "yourkey",
        "example",
        "placeholder",
    ];
    let whole = ["secret", "secretkey", "token", "servicetoken", "default"];
    text.starts_with('<') || begins.iter().any(|word| plain.starts_with(word)) || whole.contains(&&*plain)
}

/// The token, unless it is a placeholder or easily guessed.
pub(super) fn checked_token(name: &str, token: &str) -> Result<String, ConfigError> {
    if is_placeholder(token) {
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
