use super::*;
use std::io::Write as _;
use tempfile::TempDir;

fn folder(files: &[(&str, &[u8])]) -> (TempDir, MockSource) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, bytes) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }
    let source = MockSource { path: dir.path().to_owned() };
    (dir, source)
}

async fn all(source: &MockSource, slug: &str) -> Batch {
    source.rows(slug, Dataset::Tickets).collect().await
}

#[expect(clippy::unnecessary_wraps, reason = "compared with the items of a stream")]
fn row(origin: &str, line: u64, text: &str) -> Result<SourceRow, SourceError> {
    Ok(SourceRow { origin: origin.into(), line, json: Ok(text.to_owned()) })
}

#[tokio::test]
async fn lines_come_before_the_array_layout() {
    let (_dir, source) = folder(&[
        ("a/tickets.jsonl", b"\xEF\xBB\xBF{}\r\n\r\n[]"),
        ("tickets/a.json", b"[1]"),
        ("tickets/b.json", b"[\n2,3]"),
    ]);
    let found = all(&source, "a").await;
    let origin = "a/tickets.jsonl";
    assert_eq!(found, [row(origin, 1, "{}"), row(origin, 3, "[]")]);
    let origin = "tickets/b.json";
    let wanted = [row(origin, 2, "2"), row(origin, 2, "3")];
    assert_eq!(all(&source, "b").await, wanted);
    assert!(source.describe().starts_with("mock data in /"));
}

#[tokio::test]
async fn a_missing_folder_is_unreadable() {
    let (dir, _) = folder(&[]);
    let path = dir.path().join("mistyped");
    let found = all(&MockSource { path }, "a").await;
    assert!(
        matches!(&found[..], [Err(SourceError::Unreadable { origin, .. })] if origin.ends_with("mistyped")),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_tenant_of_whom_there_is_nothing_is_unreadable_and_one_without_a_file_is_empty() {
    let (dir, source) =
        folder(&[("a/time_entries.jsonl", b"{}"), ("csat/b.json", b"[]"), ("tickets/c.json", b"[]")]);
    fs::create_dir(dir.path().join("d")).expect("a folder");
    for slug in ["a", "b", "c", "d"] {
        assert_eq!(all(&source, slug).await, [], "{slug}");
    }
    let found = all(&source, "e").await;
    let [Err(SourceError::Unreadable { reason, .. })] = &found[..] else { panic!("{found:?}") };
    assert!(reason.contains("tickets/e.json") && reason.contains("make an empty folder"), "{reason}");
}

#[tokio::test]
async fn utf16_with_a_byte_order_mark_is_read_in_both_layouts() {
    let utf16 = |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        ['\u{FEFF}']
            .into_iter()
            .chain(text.chars())
            .collect::<String>()
            .encode_utf16()
            .flat_map(bytes)
            .collect()
    };
    let lines: Vec<_> = (0..20_000).map(|line| format!("{{\"a\": \"é😀 {line}\"}}")).collect();
    let lines = lines.join("\r\n");
    let (_dir, source) = folder(&[
        ("a/tickets.jsonl", &utf16(&lines, u16::to_le_bytes)),
        ("b/tickets.jsonl", &utf16(&lines, u16::to_be_bytes)),
        ("tickets/c.json", &utf16("[\n{\"a\": \"é\"}]", u16::to_le_bytes)),
    ]);
    for slug in ["a", "b"] {
        let found = all(&source, slug).await;
        assert_eq!(found.len(), 20_000);
        assert_eq!(found[19_999], row(&format!("{slug}/tickets.jsonl"), 20_000, "{\"a\": \"é😀 19999\"}"));
    }
    assert_eq!(all(&source, "c").await, [row("tickets/c.json", 2, "{\"a\": \"é\"}")]);
}

#[tokio::test]
async fn directories_pipes_and_files_in_the_way_are_unreadable() {
    let (dir, source) = folder(&[("a/tickets.jsonl/x", b""), ("b", b"not a folder")]);
    let found = all(&source, "a").await;
    let wanted = SourceError::Unreadable {
        origin: "a/tickets.jsonl".to_owned(),
        reason: "it is a directory".to_owned(),
    };
    assert_eq!(found, [Err(wanted)]);
    let found = all(&source, "b").await;
    assert!(matches!(&found[..], [Err(SourceError::Unreadable { .. })]), "{found:?}");
    let pipe = dir.path().join("p");
    fs::create_dir(&pipe).expect("a folder");
    let made = std::process::Command::new("mkfifo").arg(pipe.join("tickets.jsonl")).status();
    if made.is_ok_and(|it| it.success()) {
        let found = all(&source, "p").await;
        assert!(matches!(&found[..], [Err(SourceError::Unreadable { .. })]), "{found:?}");
    }
}

#[tokio::test]
async fn unsafe_slugs_are_refused() {
    let (_dir, source) = folder(&[("tickets/a.json", b"[1]")]);
    let long = "a".repeat(201);
    for slug in ["", "..", "../a", "a/b", "a.b", "a\0", "é", "a b", &long] {
        let found = all(&source, slug).await;
        assert!(matches!(&found[..], [Err(SourceError::Refused { .. })]), "{slug:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_out_of_the_folder_is_refused_in_both_layouts() {
    use std::os::unix::fs::symlink;
    let outside = tempfile::tempdir().expect("a folder");
    fs::write(outside.path().join("tickets.jsonl"), r#"{"secret": "hunter2"}"#).expect("a file");
    fs::write(outside.path().join("c.json"), r#"[{"secret": "hunter2"}]"#).expect("a file");
    let (dir, source) = folder(&[("inside/tickets.jsonl", b"{}"), ("b/x", b"")]);
    symlink(outside.path(), dir.path().join("a")).expect("a link");
    symlink(outside.path().join("tickets.jsonl"), dir.path().join("b/tickets.jsonl")).expect("a link");
    symlink(outside.path(), dir.path().join("tickets")).expect("a link");
    symlink("inside", dir.path().join("d")).expect("a link");
    for slug in ["a", "b", "c"] {
        let found = all(&source, slug).await;
        let [Err(SourceError::Refused { reason, .. })] = &found[..] else { panic!("{slug}: {found:?}") };
        assert!(reason.contains("not followed"), "{reason}");
    }
    assert_eq!(all(&source, "d").await.len(), 1, "a link that stays inside");
}

#[tokio::test]
async fn bad_bytes_are_bad_rows_and_the_rest_goes_on() {
    let (_dir, source) = folder(&[("a/tickets.jsonl", b"{}\n\xFF\n{}")]);
    let found = all(&source, "a").await;
    let good: Vec<_> =
        found.into_iter().map(|it| it.expect("no error")).map(|it| (it.line, it.json.is_ok())).collect();
    assert_eq!(good, [(1, true), (2, false), (3, true)]);
}

#[tokio::test]
async fn large_files_come_whole_and_in_order() {
    let (dir, source) = folder(&[("a/x", b"")]);
    let file = File::create(dir.path().join("a/tickets.jsonl")).expect("a file");
    let mut file = io::BufWriter::new(file);
    for line in 1..=50_000 {
        writeln!(file, "{{\"line\": {line}}}").expect("a line");
    }
    file.into_inner().expect("all is written");
    let mut line = 0;
    let mut rows = source.rows("a", Dataset::Tickets);
    while let Some(row) = rows.next().await {
        line += 1;
        let row = row.expect("a row");
        assert_eq!(row.line, line);
        assert_eq!(row.json, Ok(format!("{{\"line\": {line}}}")));
    }
    assert_eq!(line, 50_000);
}

#[test]
fn a_stream_may_be_made_outside_a_runtime_and_dropped() {
    let (_dir, source) = folder(&[]);
    drop(source.rows("a", Dataset::Tickets));
}
