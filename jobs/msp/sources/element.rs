//! One element of a JSON array while it is read byte by byte.

use super::{MAX_ROW_BYTES, Piece};

/// Brackets deeper than this are counted but not told apart.
pub(super) const MAX_TRACKED_DEPTH: usize = 512;

/// The element being read.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) text: Vec<u8>,
    /// The text's length without trailing blanks.
    end: usize,
    pub(super) line: u64,
    too_long: bool,
    pub(super) open: Vec<u8>,
    /// How many brackets are open beyond the tracked ones.
    deeper: u64,
    pub(super) in_string: bool,
    escaped: bool,
    /// The last byte that is not blank; the opening quote for a string.
    pub(super) last: u8,
}

impl Element {
    pub(super) fn in_plain_string(&self) -> bool {
        self.in_string && !self.escaped
    }

    /// Whether the element may end here. A number or a word cut off by the file's end may not:
    /// nothing tells that it is whole.
    pub(super) fn is_whole(&self) -> bool {
        self.open.is_empty() && !self.in_string && matches!(self.last, b'}' | b']' | b'"')
    }

    pub(super) fn keep(&mut self, bytes: &[u8]) {
        if self.too_long || self.text.len() + bytes.len() > MAX_ROW_BYTES {
            self.too_long = true;
            self.text = Vec::new();
        } else {
            self.text.extend_from_slice(bytes);
            self.end = self.text.len();
        }
    }

    pub(super) fn string_byte(&mut self, byte: u8) {
        self.keep(&[byte]);
        match byte {
            b'\n' => (self.in_string, self.escaped) = (false, false),
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.in_string = false,
            _ => {}
        }
    }

    pub(super) fn plain_byte(&mut self, byte: u8) {
        let end = self.end;
        self.keep(&[byte]);
        if is_blank(byte) {
            self.end = end;
            return;
        }
        self.last = byte;
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' if self.open.len() < MAX_TRACKED_DEPTH => self.open.push(byte),
            b'{' | b'[' => self.deeper += 1,
            b'}' | b']' if self.deeper > 0 => self.deeper -= 1,
            b'}' => self.close(b'{'),
            b']' => self.close(b'['),
            _ => {}
        }
    }

    fn close(&mut self, opener: u8) {
        if let Some(at) = self.open.iter().rposition(|it| *it == opener) {
            self.open.truncate(at);
        }
    }

    pub(super) fn emit(&mut self, out: &mut Vec<Piece>) {
        out.push(if self.too_long {
            Piece::too_long(self.line)
        } else {
            Piece::from_bytes(self.line, &self.text[..self.end])
        });
        self.reset();
    }

    /// Makes ready for the next element, keeping the buffers.
    pub(super) fn reset(&mut self) {
        self.text.clear();
        self.open.clear();
        (self.end, self.deeper, self.last) = (0, 0, 0);
        (self.too_long, self.in_string, self.escaped) = (false, false, false);
    }
}

/// Whether JSON counts the byte as a blank.
pub(super) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
