//! Splits a file which holds one JSON array, fed in chunks, into the texts of the array's
//! elements.
//!
//! This is not a JSON parser: it follows just enough of the structure (nesting, strings, escapes)
//! to know where an element ends, so that an element which is not JSON costs nothing but itself.
//! The texts of well-formed elements are exact; malformed ones are left for the parser to refuse.
//! Where a brace or a quote is missing it finds its feet again at the first place which cannot be
//! inside the same element (see [`ArraySplitter::feed`]).

use super::element::{Element, is_blank};
use super::{BOM, Piece};

/// Splits bytes into the elements of a JSON array. Holds at most one element of at most
/// [`MAX_ROW_BYTES`](super::MAX_ROW_BYTES).
#[derive(Debug)]
pub struct ArraySplitter {
    state: State,
    line: u64,
    /// How many bytes of a byte order mark were seen.
    bom: usize,
    element: Element,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the opening bracket.
    Start,
    /// After the opening bracket.
    First,
    /// After a comma.
    Next,
    /// In an element, or behind it and before the comma.
    Element,
    /// After the closing bracket.
    After,
    /// Nothing in the rest of the file can be used.
    Ignore,
}

impl Default for ArraySplitter {
    fn default() -> Self {
        Self::new()
    }
}

impl ArraySplitter {
    /// A splitter at the start of a file.
    #[must_use]
    pub fn new() -> Self {
        Self { state: State::Start, line: 1, bom: 0, element: Element::default() }
    }

    /// Takes the next bytes of the file and appends the elements which end in them to `out`.
    ///
    /// Malformed input is handled so that it costs as little as possible:
    /// * a string ends at a raw line end at the latest (JSON allows none in strings), so a missing
    ///   quote does not turn the rest of the file inside out;
    /// * a closing brace also closes brackets left open inside it, a closer without an opener is
    ///   skipped;
    /// * an opening brace directly in an object where no value can stand starts a new element:
    ///   the element before it lacks its end, and is a bad piece.
    pub fn feed(&mut self, mut chunk: &[u8], out: &mut Vec<Piece>) {
        while let Some(&byte) = chunk.first() {
            if self.state == State::Element && self.element.in_plain_string() {
                let plain = memchr::memchr3(b'"', b'\\', b'\n', chunk).unwrap_or(chunk.len());
                if plain > 0 {
                    self.element.keep(&chunk[..plain]);
                    chunk = &chunk[plain..];
                    continue;
                }
            }
            self.step(byte, out);
            self.line += u64::from(byte == b'\n');
            chunk = &chunk[1..];
        }
    }

    /// Ends the file: appends what is left in it, and a bad piece when the array is not closed.
    pub fn finish(mut self, out: &mut Vec<Piece>) {
        match self.state {
            State::Start | State::After | State::Ignore => return,
            State::Element if !self.element.is_whole() => {
                let line = self.element.line;
                out.push(Piece::bad(line, "file is cut off inside this row"));
                return;
            }
            State::Element => self.element.emit(out),
            State::First | State::Next => {}
        }
        let reason = "file is cut off: the array's closing bracket is missing";
        out.push(Piece::bad(self.line, reason));
    }

    fn step(&mut self, byte: u8, out: &mut Vec<Piece>) {
        let blank = is_blank(byte);
        match self.state {
            State::Element => self.in_element(byte, out),
            State::Ignore => {}
            _ if blank => {}
            State::Start => self.at_start(byte, out),
            State::After => {
                let reason = "text after the end of the array; nothing after it is read";
                out.push(Piece::bad(self.line, reason));
                self.state = State::Ignore;
            }
            State::First | State::Next if byte == b',' => {
                out.push(Piece::bad(self.line, "no row before this comma"));
                self.state = State::Next;
            }
            State::First | State::Next if byte == b']' => {
                if self.state == State::Next {
                    out.push(Piece::bad(self.line, "no row after the last comma"));
                }
                self.state = State::After;
            }
            State::First | State::Next => {
                self.begin();
                self.in_element(byte, out);
            }
        }
    }

    fn at_start(&mut self, byte: u8, out: &mut Vec<Piece>) {
        if byte == b'[' {
            self.state = State::First;
        } else if BOM.get(self.bom) == Some(&byte) {
            self.bom += 1;
        } else {
            let found = char::from(byte).escape_default();
            let reason = format!("file is not a JSON array: it starts with `{found}`");
            out.push(Piece::bad(self.line, &reason));
            self.state = State::Ignore;
        }
    }

    fn begin(&mut self) {
        self.element.line = self.line;
        self.state = State::Element;
    }

    fn in_element(&mut self, byte: u8, out: &mut Vec<Piece>) {
        if self.element.in_string {
            self.element.string_byte(byte);
            return;
        }
        let (last, inner) = (self.element.last, self.element.open.last().copied());
        match (inner, byte) {
            (None, b',' | b']') => {
                self.element.emit(out);
                self.state = if byte == b',' { State::Next } else { State::After };
                return;
            }
            (None, b'{' | b'[') if matches!(last, b'}' | b']') => {
                self.element.emit(out);
                out.push(Piece::bad(self.line, "no comma before this row"));
                self.begin();
            }
            (Some(b'{'), b'{') if last != b':' => {
                let reason = "row has no end: its closing brace is missing";
                out.push(Piece::bad(self.element.line, reason));
                self.element.reset();
                self.begin();
            }
            _ => {}
        }
        self.element.plain_byte(byte);
    }
}

#[cfg(test)]
#[path = "array_tests.rs"]
mod tests;
