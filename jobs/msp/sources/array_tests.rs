use super::super::MAX_ROW_BYTES;
use super::super::element::MAX_TRACKED_DEPTH;
use super::*;
use proptest::prelude::*;
use serde_json::Value;

type Found = Vec<(u64, Result<String, String>)>;

fn split_in(bytes: &[u8], sizes: &[usize]) -> Found {
    let mut splitter = ArraySplitter::new();
    let mut out = Vec::new();
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (head, tail) = rest.split_at((*size).min(rest.len()));
        splitter.feed(head, &mut out);
        rest = tail;
    }
    splitter.finish(&mut out);
    out.into_iter().map(|it| (it.line, it.text)).collect()
}

fn split(text: &str) -> Found {
    split_in(text.as_bytes(), &[usize::MAX])
}

fn good(line: u64, text: &str) -> (u64, Result<String, String>) {
    (line, Ok(text.to_owned()))
}

fn bad(line: u64, reason: &str) -> (u64, Result<String, String>) {
    (line, Err(reason.to_owned()))
}

#[test]
fn elements_come_with_their_text_and_line() {
    let found = split("\u{feff}\n[\n  {\"a\": \"]},\\\"\"} ,\r\n 12 , [1,\n[2]]\n, \"x\"\n]\n\n");
    let wanted = [good(3, "{\"a\": \"]},\\\"\"}"), good(4, "12"), good(4, "[1,\n[2]]"), good(6, "\"x\"")];
    assert_eq!(found, wanted);
}

#[test]
fn empty_files_and_empty_arrays_are_empty() {
    for text in ["", "\u{feff}", " \n\n", "[]", "\u{feff}[ \n ]\n"] {
        assert_eq!(split(text), [], "{text:?}");
    }
}

#[test]
fn a_file_that_is_no_array_is_one_bad_row() {
    let reason = "file is not a JSON array: it starts with `{`";
    assert_eq!(split("\n{\"a\": [1, 2]}"), [bad(2, reason)]);
    let reason = "file is not a JSON array: it starts with `\\u{0}`";
    assert_eq!(split("\0[1]"), [bad(1, reason)]);
}

#[test]
fn a_file_cut_off_keeps_the_rows_before() {
    let end = "file is cut off: the array's closing bracket is missing";
    let inside = "file is cut off inside this row";
    assert_eq!(split("["), [bad(1, end)]);
    assert_eq!(split("[{}\n,\n"), [good(1, "{}"), bad(3, end)]);
    assert_eq!(split("[{}\n"), [good(1, "{}"), bad(2, end)]);
    assert_eq!(split("[{},\n{\"a\":\n\"b"), [good(1, "{}"), bad(2, inside)]);
    assert_eq!(split("[1,\n2"), [good(1, "1"), bad(2, inside)]);
}

#[test]
fn text_after_the_array_is_a_bad_row() {
    let reason = "text after the end of the array; nothing after it is read";
    assert_eq!(split("[1]\n[2]"), [good(1, "1"), bad(2, reason)]);
}

#[test]
fn stray_and_missing_commas_lose_nothing() {
    let found = split("[,{\"a\":1},,\n{\"b\":2}\n{\"c\":3},]");
    let wanted = [
        bad(1, "no row before this comma"),
        good(1, "{\"a\":1}"),
        bad(1, "no row before this comma"),
        good(2, "{\"b\":2}"),
        bad(3, "no comma before this row"),
        good(3, "{\"c\":3}"),
        bad(3, "no row after the last comma"),
    ];
    assert_eq!(found, wanted);
}

#[test]
fn bad_bytes_spoil_only_their_row() {
    let found = split_in(b"[{\"a\":\"\xFF\"},\n{\"b\":\"\0\"},\n{}]", &[3]);
    assert_eq!(found[0], bad(1, "row is not valid UTF-8 (at its byte 7)"));
    assert_eq!(found[1], bad(2, "row has a NUL byte in it"));
    assert_eq!(found[2], good(3, "{}"));
}

#[test]
fn a_row_over_the_limit_is_bad_and_not_kept() {
    let mut splitter = ArraySplitter::new();
    let mut out = Vec::new();
    splitter.feed(b"[{\"a\":\"", &mut out);
    for _ in 0..50 {
        splitter.feed(&b"x".repeat(100_000), &mut out);
        assert!(splitter.element.text.capacity() <= 2 * MAX_ROW_BYTES);
    }
    splitter.feed(b"\"},\n", &mut out);
    splitter.feed(&b"[".repeat(3_000_000), &mut out);
    assert!(splitter.element.open.capacity() <= 2 * MAX_TRACKED_DEPTH);
    splitter.feed(&b"]".repeat(3_000_000), &mut out);
    splitter.feed(b",{}]", &mut out);
    splitter.finish(&mut out);
    let good: Vec<_> = out.iter().map(|it| (it.line, it.text.is_ok())).collect();
    assert_eq!(good, [(1, false), (2, false), (2, true)]);
}

/// Each malformed element must leave both its neighbours whole.
#[test]
fn a_malformed_element_costs_only_itself() {
    let broken = [
        r#"{"minutes": nope}"#,
        r#"{"minutes": 1"#,
        r#"{"a": {"b": 1, "c": 2}"#,
        r#"{"a": ["b", "c"}"#,
        r#"{"a": 1]}"#,
        r#"{"a": 1}}"#,
        r#"{"a": "no quote}"#,
        r#"{"a: 1}"#,
        r#"{"a": "back\"}"#,
        "{\"a\": \"raw\nline end\", \"b\": 1}",
        "nope",
        "}",
        r#"{{"a": 1}"#,
    ];
    for element in broken {
        let text = format!("[\n{{\"id\": 1}},\n{element},\n{{\"id\": 2}},\n{{\"id\": 3}}\n]\n");
        let found = split(&text);
        let rows: Vec<Value> =
            found.iter().filter_map(|(_, text)| serde_json::from_str(text.as_ref().ok()?).ok()).collect();
        let ids: Vec<_> = rows.iter().filter_map(|it| it["id"].as_u64()).collect();
        assert_eq!(ids, [1, 2, 3], "{element}: {found:?}");
        assert!(found.len() > 3, "{element}: the bad row is told: {found:?}");
    }
}

fn json() -> impl Strategy<Value = Value> {
    let text = "[\\[\\]{}\",:\\\\ \n\ta-c0é€\u{1F600}\u{0}\u{7f}]{0,12}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1_000_000_i32..1_000_000).prop_map(|it| Value::from(f64::from(it) / 64.0)),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(text, inner, 0..5)
                .prop_map(|it| Value::from(it.into_iter().collect::<serde_json::Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn elements_equal_those_of_serde_json(
        items in prop::collection::vec(json(), 0..8),
        pretty in any::<bool>(),
        around in "[ \r\n\t]{0,4}",
        sizes in prop::collection::vec(1_usize..17, 1..30),
    ) {
        let array = Value::from(items.clone());
        let text = if pretty { format!("{array:#}") } else { array.to_string() };
        let text = format!("{around}{text}{around}");
        let found = split_in(text.as_bytes(), &sizes);
        let mut seen = Vec::new();
        let mut from = 0;
        for (line, piece) in found {
            let piece = piece.expect("well-formed elements have texts");
            // The element stands on the line it is said to stand on.
            let at = from + text[from..].find(&piece).expect("the text is the file's own");
            prop_assert_eq!(line, 1 + text[..at].matches('\n').count() as u64);
            from = at + piece.len();
            seen.push(serde_json::from_str::<Value>(&piece).expect("JSON"));
        }
        prop_assert_eq!(seen, items);
    }

    #[test]
    fn any_bytes_in_any_chunks_split_alike(
        bytes in prop::collection::vec(prop::sample::select(b"[[[]{{}}\"\",,:\\ \n1a\xC3\xA9\xFF\0".to_vec()), 0..120),
        sizes in prop::collection::vec(1_usize..9, 1..30),
    ) {
        prop_assert_eq!(split_in(&bytes, &sizes), split_in(&bytes, &[usize::MAX]));
    }
}
