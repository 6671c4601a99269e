//! What a tenant is told of a failed attempt: its code, and the one text that this code has for
//! tenants.
//!
//! An attempt's own message is for operators: it may hold paths, SQL, names of constraints and
//! answers of other systems. It is shown under `/internal` and on the dashboard, and stands in the
//! log.

use crate::attempt::AttemptError;
use crate::presentation::{FAILED, JobPresentation};

/// The error as a tenant sees it.
pub fn for_tenant(error: AttemptError, presentation: &JobPresentation) -> AttemptError {
    AttemptError {
        message: presentation.text(&error.code).to_owned(),
        code: if is_code(&error.code) { error.code } else { FAILED.to_owned() },
        // Which machine it was is nothing to them.
        worker_id: None,
        ..error
    }
}

/// Whether it is a word of a program, and not a message in the place of one.
fn is_code(code: &str) -> bool {
    (1..=64).contains(&code.len())
        && code.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_word_and_nothing_else_passes_for_one() {
        for code in ["worker_lost", "http_503", "x"] {
            assert!(is_code(code), "{code}");
        }
        for code in ["", "/var/lib", "duplicate key value", "Kaputt", "a.b", &"x".repeat(65)] {
            assert!(!is_code(code), "{code}");
        }
    }
}
