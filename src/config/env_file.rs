//! What is wrong with a `.env` file.

use std::path::PathBuf;

/// What is wrong with it, by its line; the line itself may be a secret.
pub(super) fn wrong_file(error: &dotenvy::Error) -> String {
    let dotenvy::Error::LineParse(line, _) = error else { return format!(".env cannot be read: {error}") };
    // It was found in the working folder or in one above.
    let here = std::env::current_dir().unwrap_or_default();
    let path = here.ancestors().map(|folder| folder.join(".env")).find(|path| path.is_file());
    let path = path.unwrap_or_else(|| PathBuf::from(".env"));
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    // What could not be read is the line, or its value.
    let wrong = line.trim();
    let is_wrong = |it: &str| !it.starts_with('#') && it.trim().ends_with(wrong);
    let number = text.lines().position(is_wrong).map(|it| format!(", line {}", it + 1));
    format!(
        "{}{}: expected NAME=value, with quotes where the value has spaces, such as WEIRGATE_LISTEN=127.0.0.1:8080",
        path.display(),
        number.unwrap_or_default()
    )
}
