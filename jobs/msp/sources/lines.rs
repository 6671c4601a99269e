//! Splits a file fed in chunks into its lines (the JSONL layout).

use super::{BOM, MAX_ROW_BYTES, Piece};

/// Splits bytes into lines. Holds at most one line of at most [`MAX_ROW_BYTES`].
///
/// Blank lines are skipped, a byte order mark at the start and CRLF line ends are taken off, and
/// the last line needs no line end.
#[derive(Debug)]
pub struct LineSplitter {
    /// The beginning of a line whose end was not in an earlier chunk.
    carry: Vec<u8>,
    /// The current line has outgrown the limit; its bytes are dropped up to its end.
    too_long: bool,
    line: u64,
}

impl Default for LineSplitter {
    fn default() -> Self {
        Self::new()
    }
}

impl LineSplitter {
    /// A splitter at the start of a file.
    #[must_use]
    pub const fn new() -> Self {
        Self { carry: Vec::new(), too_long: false, line: 1 }
    }

    /// Takes the next bytes of the file and appends the lines which end in them to `out`.
    pub fn feed(&mut self, mut chunk: &[u8], out: &mut Vec<Piece>) {
        while let Some(end) = memchr::memchr(b'\n', chunk) {
            let (head, rest) = chunk.split_at(end);
            chunk = &rest[1..];
            if self.carry.is_empty() && !self.too_long {
                emit(self.line, head, out);
            } else {
                self.keep(head);
                self.end_carried(out);
            }
            self.line += 1;
        }
        self.keep(chunk);
    }

    /// Ends the file: appends its last line to `out` when that had no line end.
    pub fn finish(mut self, out: &mut Vec<Piece>) {
        self.end_carried(out);
    }

    fn keep(&mut self, bytes: &[u8]) {
        // Two bytes over, for a carriage return and so that `emit` can tell a line is too long.
        if self.too_long || self.carry.len() + bytes.len() > MAX_ROW_BYTES + BOM.len() + 2 {
            self.too_long = true;
            self.carry = Vec::new();
        } else {
            self.carry.extend_from_slice(bytes);
        }
    }

    fn end_carried(&mut self, out: &mut Vec<Piece>) {
        if self.too_long {
            out.push(Piece::too_long(self.line));
        } else {
            emit(self.line, &self.carry, out);
        }
        self.too_long = false;
        self.carry.clear();
    }
}

fn emit(line: u64, bytes: &[u8], out: &mut Vec<Piece>) {
    let bytes = if line == 1 { bytes.strip_prefix(BOM).unwrap_or(bytes) } else { bytes };
    // Only the end is trimmed: columns in error messages count from the line's start.
    let bytes = bytes.trim_ascii_end();
    if bytes.is_empty() {
        return;
    }
    out.push(if bytes.len() > MAX_ROW_BYTES {
        Piece::too_long(line)
    } else {
        Piece::from_bytes(line, bytes)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(chunks: &[&[u8]]) -> Vec<(u64, Result<String, String>)> {
        let mut splitter = LineSplitter::new();
        let mut out = Vec::new();
        for chunk in chunks {
            splitter.feed(chunk, &mut out);
        }
        splitter.finish(&mut out);
        out.into_iter().map(|it| (it.line, it.text)).collect()
    }

    fn good(line: u64, text: &str) -> (u64, Result<String, String>) {
        (line, Ok(text.to_owned()))
    }

    #[test]
    fn bom_crlf_blank_lines_and_a_last_line_without_end_are_fine() {
        let found = split(&[b"\xEF\xBB", b"\xBF{}\r", b"\n\n  \r\n\t[1]", b" \n{\"a\":1}"]);
        assert_eq!(found, [good(1, "{}"), good(4, "\t[1]"), good(5, "{\"a\":1}")]);
        assert!(split(&[]).is_empty());
        assert!(split(&[BOM]).is_empty());
    }

    #[test]
    fn invalid_utf8_and_nul_bytes_are_bad_rows_with_their_line() {
        let found = split(&[b"{}\n{\"a\":\"\xFF\"}\n\0\n{}"]);
        assert_eq!(found[0], good(1, "{}"));
        assert_eq!(found[1], (2, Err("row is not valid UTF-8 (at its byte 7)".to_owned())));
        assert_eq!(found[2], (3, Err("row has a NUL byte in it".to_owned())));
        assert_eq!(found[3], good(4, "{}"));
    }

    #[test]
    fn a_line_over_the_limit_is_a_bad_row_and_is_not_kept() {
        let piece = vec![b'x'; MAX_ROW_BYTES];
        let mut splitter = LineSplitter::new();
        let mut out = Vec::new();
        for _ in 0..5 {
            splitter.feed(&piece, &mut out);
            assert!(splitter.carry.capacity() <= 2 * MAX_ROW_BYTES);
        }
        splitter.feed(b"\n{}\n", &mut out);
        splitter.feed(&piece, &mut out);
        splitter.feed(b"\r\n", &mut out);
        splitter.feed(&piece, &mut out);
        splitter.feed(b"y\n{}", &mut out);
        splitter.finish(&mut out);
        let good: Vec<_> = out.iter().map(|it| (it.line, it.text.is_ok())).collect();
        assert_eq!(good, [(1, false), (2, true), (3, true), (4, false), (5, true)]);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_chunks_split_alike(
            bytes in prop::collection::vec(prop::sample::select(b"{}a\n\r \xC3\xA9\xFF\0".to_vec()), 0..200),
            sizes in prop::collection::vec(1_usize..9, 1..50),
        ) {
            let mut chunks = Vec::new();
            let mut rest = &bytes[..];
            for size in sizes.iter().cycle() {
                if rest.is_empty() { break; }
                let (head, tail) = rest.split_at((*size).min(rest.len()));
                chunks.push(head);
                rest = tail;
            }
            prop_assert_eq!(split(&chunks), split(&[&bytes[..]]));
        }
    }
}
