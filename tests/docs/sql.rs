//! SQL keeps the arrows between crates: the engine's tables are named by the engine alone.

use std::collections::BTreeSet;
use std::path::Path;

/// What SQL of others may name: the engine's functions for it.
const ALLOWED: [&str; 5] = ["now", "is_current_run", "is_open", "failed_jobs", "failed_jobs_between"];

/// Files that look inside, and why. Tests do so too, and are not looked at.
const INSIDE: [(&str, &str); 3] = [
    ("bench/", "measures and fills the engine's tables"),
    ("src/schema/", "renames the tables of a database of a version before 0.1.0"),
    ("migrations/msp/0003_ingests", "a trigger keeps source_runs in the transaction that ends a job"),
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
    let mut looked_at = 0;
    for (file, text) in folders().iter().flat_map(|folder| files(folder, &["rs", "sql"])) {
        looked_at += 1;
        if INSIDE.iter().any(|(path, _)| file.starts_with(path)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.trim_start();
            if code.starts_with("//") || code.starts_with("--") {
                continue;
            }
            // `queue.` of Rust is a variable, whose fields stand after none of these words.
            let named = line.match_indices("queue.").filter(|(at, _)| {
                let before = line[..*at].trim_end();
                let word = before.rsplit([' ', '(']).next().unwrap_or_default();
                let named = name(&line[at + "queue.".len()..]);
                let is_called = line[at + "queue.".len() + named.len()..].starts_with('(');
                let is_table =
                    ["from", "join", "into", "update", "on", "only", "table", "using"].contains(&word);
                is_table && tables.contains(&named)
                    || is_called && functions.contains(&named) && !ALLOWED.contains(&&*named)
                    || before.ends_with("::") && types.contains(&named)
            });
            wrong.extend(named.map(|_| format!("{file}:{}: {code}", number + 1)));
        }
    }
    assert!(looked_at > 200, "{looked_at} files");
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
