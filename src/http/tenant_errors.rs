//! What a tenant is told of a failed attempt: its code, and the one text that this code has for
//! tenants.
//!
//! An attempt's own message is for operators: it may hold paths, SQL, names of constraints and
//! answers of other systems. It is shown under `/internal` and on the dashboard, and stands in the
//! log.

use crate::domain::Catalog;
use crate::http::job::AttemptError;

/// Every code that the engine and the operations fail with; those of a domain are the domain's to say.
const TEXTS: [(&str, &str); 11] = [
    (
        "bad_arguments",
        "The job's arguments are not of a form that it understands. Its operators can see which.",
    ),
    (
        "dependency_failed",
        "A job that this one depends on failed or was cancelled, so that this one was not started.",
    ),
    (FAILED, GENERAL),
    ("output_too_large", "The job's result is too large to be kept."),
    ("panicked", "The job stopped on a fault in the program. Its operators can see where."),
    ("timed_out", "The job took longer than it may."),
    ("unknown_kind", "No worker that has run so far knows this kind of job."),
    ("unknown_tenant", "The tenant of this job does not exist."),
    ("upstream_unavailable", "A system that the job depends on does not answer now."),
    ("worker_lost", "The worker that ran the job has stopped in the middle of it."),
    ("wrong_state", "The job cannot do this in the state that it found."),
];

const FAILED: &str = "failed";

/// For every code that is not among [`TEXTS`].
const GENERAL: &str = "The job failed. Its operators can see why.";

/// The error as a tenant sees it.
pub(crate) fn for_tenant(error: AttemptError, catalog: &Catalog) -> AttemptError {
    AttemptError {
        message: text(&error.code, catalog).to_owned(),
        code: if is_code(&error.code) { error.code } else { FAILED.to_owned() },
        // Which machine it was is nothing to them.
        worker_id: None,
        ..error
    }
}

fn text(code: &str, catalog: &Catalog) -> &'static str {
    let own = TEXTS.iter().find(|(known, _)| *known == code).map(|(_, text)| *text);
    own.or_else(|| catalog.error_text(code)).unwrap_or(GENERAL)
}

/// Whether it is a word of a program, and not a message in the place of one.
fn is_code(code: &str) -> bool {
    (1..=64).contains(&code.len())
        && code.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::domains;

    /// The codes that the sources under `folder` name, as literals after one of these beginnings.
    fn codes(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                codes(&path, found);
            } else if path.extension().is_some_and(|it| it == "rs" || it == "sql") {
                let text = std::fs::read_to_string(&path).unwrap();
                let is_code = |line: &&str| !line.trim_start().starts_with("//");
                let text = text.lines().filter(is_code).collect::<Vec<_>>().join("\n");
                for (start, end) in [
                    ("JobError::discard(", '"'),
                    ("JobError::failed(", '"'),
                    ("Err(JobError::Discard { code: ", '"'),
                    ("code: ", '"'),
                    ("'code', ", '\''),
                ] {
                    let literals = text.split(start).skip(1).filter_map(|rest| {
                        rest.trim_start().strip_prefix(end).and_then(|rest| rest.split_once(end))
                    });
                    found.extend(literals.map(|(code, _)| code.to_owned()));
                }
            }
        }
    }

    #[test]
    fn every_code_that_the_program_fails_with_has_a_text() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = BTreeSet::new();
        codes(&root.join("queue/src"), &mut found);
        codes(&root.join("jobs"), &mut found);
        assert!(found.contains("worker_lost") && found.contains("source_refused"), "{found:?}");
        codes(&root.join("src/operations"), &mut found);
        let catalog = Catalog::of(&domains::all());
        let known: BTreeSet<&str> = TEXTS.iter().map(|(code, _)| *code).collect();
        let has_text = |code: &str| known.contains(code) || catalog.error_text(code).is_some();
        let without: Vec<_> = found.iter().filter(|code| !has_text(code)).collect();
        assert!(without.is_empty(), "no text for {without:?}");
        let twice: Vec<_> = known.iter().filter(|code| catalog.error_text(code).is_some()).collect();
        assert!(twice.is_empty(), "a domain repeats {twice:?}");
        assert_eq!(known.len(), TEXTS.len(), "a code stands there twice");
    }

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
