//! SQL keeps the arrows between crates: the engine's tables are named by the engine alone.

use std::collections::BTreeSet;
use std::path::Path;

/// What SQL of others may name: the engine's functions for it.
const ALLOWED: [&str; 7] = [
    "now",
    "is_current_run",
    "is_open",
    "failed_jobs",
    "failed_jobs_between",
    "add_final_hook",
    "remove_final_hook",
];

/// Words of SQL that a table's or a column's name comes after.
const BEFORE_A_TABLE: [&str; 13] = [
    "from",
    "join",
    "into",
    "update",
    "on",
    "only",
    "table",
    "using",
    "references",
    "column",
    "like",
    "exists",
    "view",
];

/// Files that look inside, and why. Tests do so too, and are not looked at.
const INSIDE: [(&str, &str); 2] = [
    ("bench/", "measures and fills the engine's tables"),
    ("src/schema/", "renames the tables of a database of a version before 0.1.0"),
];

/// Names that `queue/migrations` makes with these words.
fn made_by(words: &[&str]) -> BTreeSet<String> {
    let files = files("queue/migrations", &["sql"]);
    let made = files.iter().flat_map(|(_, text)| {
        words.iter().flat_map(move |word| {
            text.split(&format!("create {word} queue.")).skip(1).map(name).collect::<Vec<_>>()
        })
    });
    made.collect()
}

fn name(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

/// The text with its lines, of which those that are comments are empty.
fn without_comments(text: &str) -> String {
    let is_comment = |line: &str| ["//", "--"].iter().any(|it| line.trim_start().starts_with(it));
    text.lines().map(|line| if is_comment(line) { "\n".to_owned() } else { format!("{line}\n") }).collect()
}

/// Files under a folder of the repository with one of these endings, and what is in them.
fn files(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        {
            let path = entry.unwrap().path();
            if path.is_symlink() || path.ends_with("tests") || path.ends_with("schema.sql") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| endings.iter().any(|ending| it == *ending)) {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// The crates beside the engine, by their folders. One that comes anew is found by its manifest.
fn folders() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let own = folders.filter(|path| path.join("Cargo.toml").exists());
    let own = own.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
    let others = ["src", "jobs", "migrations"].map(str::to_owned);
    let all: BTreeSet<String> = own.chain(others).collect();
    all.into_iter()
        .filter(|name| !["queue", "target", "benches", "tests", "test-support"].contains(&&**name))
        .collect()
}

#[test]
fn engine_tables_are_named_by_no_sql_outside_the_engine() {
    let (tables, functions) = (made_by(&["table", "view"]), made_by(&["function"]));
    let types = made_by(&["type"]);
    assert!(tables.len() > 20 && tables.contains("jobs") && tables.contains("in_flight"), "{tables:?}");
    assert!(ALLOWED.iter().all(|it| functions.contains(*it)) && types.contains("job_state"), "{functions:?}");
    let mut wrong = Vec::new();
    let (mut count, mut looked_at) = (0, BTreeSet::new());
    for (file, text) in folders().iter().flat_map(|folder| files(folder, &["rs", "sql"])) {
        looked_at.insert(file.split_once('/').map_or(String::new(), |(folder, _)| folder.to_owned()));
        count += 1;
        if INSIDE.iter().any(|(path, _)| file.starts_with(path)) {
            continue;
        }
        let code = without_comments(&text);
        // `queue.` of Rust is a variable, whose fields stand after none of these words.
        let named = code.match_indices("queue.").filter(|(at, _)| {
            let (before, after) = (
                code[..*at].trim_end_matches(|c: char| c.is_whitespace() || c == '\\'),
                &code[at + "queue.".len()..],
            );
            let word = before.rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or_default();
            let named = name(after);
            let is_called = after[named.len()..].starts_with('(');
            BEFORE_A_TABLE.contains(&word) && tables.contains(&named)
                || is_called && functions.contains(&named) && !ALLOWED.contains(&&*named)
                || before.ends_with("::") && types.contains(&named)
        });
        wrong.extend(named.map(|(at, _)| {
            let number = code[..at].matches('\n').count() + 1;
            format!("{file}:{number}: {}", text.lines().nth(number - 1).unwrap_or_default().trim())
        }));
    }
    assert!(count > 200, "{count} files");
    assert!(["src", "jobs", "migrations", "web"].iter().all(|it| looked_at.contains(*it)), "{looked_at:?}");
    assert!(wrong.is_empty(), "the engine's tables are its own; ask a function of it:\n{}", wrong.join("\n"));
}

#[test]
fn every_exception_is_needed() {
    let tables = made_by(&["table", "view"]);
    for (path, why) in INSIDE {
        let folder = Path::new(path).parent().unwrap().to_str().unwrap();
        let mut files = files(folder, &["rs", "sql"]).into_iter().filter(|(file, _)| file.starts_with(path));
        let names_one = |text: &str| tables.iter().any(|table| text.contains(&format!("queue.{table}")));
        assert!(files.any(|(_, text)| names_one(&text)), "{path} ({why}) names no table of the engine's");
    }
}
