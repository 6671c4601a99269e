//! Files of UTF-16, as some tools of Windows write them, are read as if they were UTF-8.

use std::borrow::Cow;

/// The byte order marks of UTF-16.
const LITTLE_ENDIAN: &[u8] = b"\xFF\xFE";
const BIG_ENDIAN: &[u8] = b"\xFE\xFF";

/// Stands for what is no UTF-16: no byte of UTF-8, so that the row it is in is a bad row.
const BAD: u8 = 0xFF;

/// Translates a file that begins with a byte order mark of UTF-16; any other file stays as it is.
#[derive(Debug, Default)]
pub(super) enum Utf8 {
    /// Nothing was seen yet.
    #[default]
    Start,
    AsItIs,
    /// From UTF-16, with the bytes of a character whose end was not in an earlier chunk.
    From {
        unit: fn([u8; 2]) -> u16,
        rest: Vec<u8>,
    },
}

impl Utf8 {
    /// The next chunk of the file in UTF-8. The first one has at least two bytes, where the file
    /// has.
    pub(super) fn feed<'a>(&mut self, mut chunk: &'a [u8]) -> Cow<'a, [u8]> {
        if let Self::Start = self {
            *self = if let Some(text) = chunk.strip_prefix(LITTLE_ENDIAN) {
                chunk = text;
                Self::From { unit: u16::from_le_bytes, rest: Vec::new() }
            } else if let Some(text) = chunk.strip_prefix(BIG_ENDIAN) {
                chunk = text;
                Self::From { unit: u16::from_be_bytes, rest: Vec::new() }
            } else {
                Self::AsItIs
            };
        }
        match self {
            Self::Start | Self::AsItIs => Cow::Borrowed(chunk),
            Self::From { unit, rest } => {
                rest.extend_from_slice(chunk);
                let mut whole = rest.len() - rest.len() % 2;
                if let Some(last) = rest[..whole].last_chunk()
                    && (0xD800..0xDC00).contains(&unit(*last))
                {
                    // The first half of a pair: the other one may come.
                    whole -= 2;
                }
                let text = translate(&rest[..whole], *unit);
                rest.drain(..whole);
                Cow::Owned(text)
            }
        }
    }

    /// What is left at the end of the file.
    pub(super) fn finish(self) -> &'static [u8] {
        match self {
            Self::From { rest, .. } if !rest.is_empty() => &[BAD],
            _ => &[],
        }
    }
}

fn translate(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Vec<u8> {
    let (pairs, _) = bytes.as_chunks::<2>();
    let mut text = Vec::with_capacity(bytes.len());
    for character in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        match character {
            Ok(character) => text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(_) => text.push(BAD),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2], mark: &[u8]) -> Vec<u8> {
        [mark, &text.encode_utf16().flat_map(bytes).collect::<Vec<_>>()].concat()
    }

    fn translated(file: &[u8], chunk: usize) -> Vec<u8> {
        let (head, tail) = file.split_at(file.len().min(chunk.max(2)));
        let mut utf8 = Utf8::default();
        let mut text = utf8.feed(head).into_owned();
        for chunk in tail.chunks(chunk) {
            text.extend_from_slice(&utf8.feed(chunk));
        }
        text.extend_from_slice(utf8.finish());
        text
    }

    proptest! {
        #[test]
        fn any_text_in_any_chunks_is_the_same_text(text: String, chunk in 1_usize..9) {
            for file in [
                utf16(&text, u16::to_le_bytes, LITTLE_ENDIAN),
                utf16(&text, u16::to_be_bytes, BIG_ENDIAN),
                text.clone().into_bytes(),
            ] {
                prop_assert_eq!(translated(&file, chunk), text.as_bytes());
            }
        }
    }

    #[test]
    fn what_is_no_utf16_is_no_utf8_either() {
        for (file, text) in [
            (&b"\xFF\xFEa\0\0\xD8b\0"[..], &b"a\xFFb"[..]),
            (b"\xFF\xFEa\0\0\xDC", b"a\xFF"),
            (b"\xFF\xFEa\0\0\xD8", b"a\xFF"),
            (b"\xFF\xFEa\0b", b"a\xFF"),
        ] {
            for chunk in 1..9 {
                assert_eq!(translated(file, chunk), text, "{file:?}");
            }
        }
    }
}
