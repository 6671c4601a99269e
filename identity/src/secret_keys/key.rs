//! One secret key: how it is written, and what it is called.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::os_random;

/// 32 random bytes hold about 30 different ones; fewer than this are a pattern.
const FEWEST_BYTES: usize = 16;

/// 32 random bytes. Nothing shows them but [`SecretKey::to_hex`].
#[derive(Clone)]
pub struct SecretKey([u8; 32]);

/// Why a text is no secret key. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrongKey {
    /// It has another form.
    #[error("is not 32 bytes as 64 hex digits or in base64")]
    Form,
    /// Nobody has drawn it at random.
    #[error("repeats a few bytes and is easily guessed")]
    Guessed,
}

impl SecretKey {
    /// Reads 64 hex digits, or base64 of 32 bytes: 43 characters, or 44 with its `=`.
    ///
    /// # Errors
    /// When it is none, or cannot be random.
    pub fn parse(text: &str) -> Result<Self, WrongKey> {
        let bytes = match text.len() {
            64 => hex::decode(text).ok(),
            43 | 44 => {
                let digits = text.strip_suffix('=').unwrap_or(text);
                STANDARD_NO_PAD.decode(digits).or_else(|_| URL_SAFE_NO_PAD.decode(digits)).ok()
            }
            _ => None,
        };
        let bytes: [u8; 32] = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(WrongKey::Form)?;
        if bytes.iter().collect::<BTreeSet<_>>().len() < FEWEST_BYTES {
            return Err(WrongKey::Guessed);
        }
        Ok(Self(bytes))
    }

    /// A new one.
    pub fn generate() -> Self {
        Self(os_random::bytes())
    }

    /// As it is written down.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// What it is called, which tells nothing of it.
    pub fn name(&self) -> KeyName {
        let hash = self.derived("name");
        KeyName(*hash.first_chunk().expect("the hash is longer"))
    }

    /// A key of its own for each purpose, none of which tells anything of another.
    pub(super) fn derived(&self, purpose: &str) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length is taken");
        mac.update(b"weirgate secret key: ");
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl From<[u8; 32]> for SecretKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").finish_non_exhaustive()
    }
}

/// The name of a secret key, such as `1f0c9e5ab2d4`: the beginning of a hash of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName([u8; Self::BYTES]);

impl KeyName {
    /// How long it is.
    pub const BYTES: usize = 6;
}

impl From<[u8; Self::BYTES]> for KeyName {
    fn from(name: [u8; Self::BYTES]) -> Self {
        Self(name)
    }
}

impl AsRef<[u8]> for KeyName {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use sha2::Digest;

    use super::*;

    #[test]
    fn a_key_is_written_in_hex_or_base64() {
        // Its base64 holds a + and a /, which are - and _ in the other alphabet.
        let mut bytes: [u8; 32] = Sha256::digest("key").into();
        bytes[..6].copy_from_slice(&[0xfb, 0xff, 0xbf, 0xfb, 0xff, 0xbf]);
        let name = SecretKey::from(bytes).name();
        let padded = STANDARD.encode(bytes);
        assert!(padded.starts_with("+/+/"), "{padded}");
        for text in [
            hex::encode(bytes),
            hex::encode_upper(bytes),
            SecretKey::from(bytes).to_hex(),
            padded.clone(),
            padded.trim_end_matches('=').to_owned(),
            URL_SAFE_NO_PAD.encode(bytes),
        ] {
            assert_eq!(SecretKey::parse(&text).map(|key| key.name()), Ok(name), "{text}");
        }
    }

    #[test]
    fn what_is_no_key_or_no_random_one_is_refused() {
        let good = SecretKey::generate().to_hex();
        for text in ["", "changeme", &good[..63], &good[..62], &format!("{good}00"), &"é".repeat(32)] {
            assert_eq!(SecretKey::parse(text).map(|key| key.name()), Err(WrongKey::Form), "{text}");
        }
        for text in
            ["00".repeat(32), "deadbeef".repeat(8), STANDARD.encode("changemechangemechangemechangeme")]
        {
            assert_eq!(SecretKey::parse(&text).map(|key| key.name()), Err(WrongKey::Guessed), "{text}");
        }
    }

    #[test]
    fn the_name_tells_nothing_of_the_key() {
        let key = SecretKey::generate();
        let name = key.name().to_string();
        assert_eq!(name.len(), 12);
        assert!(!key.to_hex().contains(&name));
        assert_ne!(name, SecretKey::generate().name().to_string());
    }
}
