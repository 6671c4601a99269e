//! What a tenant is told of a failed attempt: its code, and the one text that this code has for
//! tenants.
//!
//! An attempt's own message is for operators: it may hold paths, SQL, names of constraints and
//! answers of other systems. It is shown under `/internal` and on the dashboard, and stands in the
//! log.

use crate::http::job::AttemptError;

/// Every code that jobs and the engine fail with.
const TEXTS: [(&str, &str); 18] = [
    (
        "all_rows_rejected",
        "The source had data, but none of it could be imported. The operators can see why.",
    ),
    ("bad_arguments", "The job's arguments are not valid. The operators can see why."),
    (
        "dependency_failed",
        "A job that this one depends on failed or was cancelled, so this one was not started.",
    ),
    (FAILED, GENERAL),
    ("ingest_lost", "It is no longer certain what was imported before; the source is read again."),
    ("ingest_overtaken", "A newer ingest of the same data has started and imports the rest."),
    ("output_too_large", "The job's result is too large to be stored."),
    ("panicked", "The job stopped because of a program error. The operators can see where."),
    ("source_refused", "The source system refused access to the data."),
    ("source_throttled", "The source system has limited its requests for a whole day."),
    ("source_unreadable", "The data of the source system could not be read."),
    ("timed_out", "The job took longer than allowed."),
    ("unknown_kind", "No worker so far knows this kind of job."),
    ("unknown_tenant", "The tenant of this job does not exist."),
    ("unknown_time_zone", "The time zone of the tenant is not valid, so its days cannot be determined."),
    ("upstream_unavailable", "A system that the job depends on did not answer."),
    ("worker_lost", "The worker that ran the job stopped unexpectedly."),
    ("wrong_state", "The state of the data does not allow what the job does."),
];

const FAILED: &str = "failed";

/// For every code that is not among [`TEXTS`].
const GENERAL: &str = "The job failed. The operators can see why.";

/// The error as a tenant sees it.
pub(crate) fn for_tenant(error: AttemptError) -> AttemptError {
    AttemptError {
        message: text(&error.code).to_owned(),
        code: if is_code(&error.code) { error.code } else { FAILED.to_owned() },
        // Which machine it was is nothing to them.
        worker_id: None,
        ..error
    }
}

fn text(code: &str) -> &'static str {
    TEXTS.iter().find(|(known, _)| *known == code).map_or(GENERAL, |(_, text)| text)
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

    /// The codes that the sources under `folder` name, as literals after one of these beginnings.
    fn codes(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                codes(&path, found);
            } else if path.extension().is_some_and(|it| it == "rs" || it == "sql") {
                let text = std::fs::read_to_string(&path).unwrap();
                // Codes that tests make up are seen by nobody.
                let text = text.split("#[cfg(test)]").next().unwrap();
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
        let known: BTreeSet<&str> = TEXTS.iter().map(|(code, _)| *code).collect();
        let without: Vec<_> = found.iter().filter(|code| !known.contains(code.as_str())).collect();
        assert!(without.is_empty(), "no text for {without:?}");
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
