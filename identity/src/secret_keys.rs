//! The secret key of a database, `WEIRGATE_SECRET_KEY`: what must be read again, but by nobody who
//! has the database alone, is sealed with it.
//!
//! Sealed bytes are a version (1 byte), the name of the key (6 bytes), a random nonce (24 bytes),
//! and what `XChaCha20-Poly1305` made of the plain ones, 16 bytes more than these. The associated
//! data is all that comes before, and the place where the value is kept: its table and id, such as
//! `identity.signing_keys/<kid>`. So one sealed value put into the place of another does not open.
//!
//! While the key changes there are two: one seals, and both open.

mod key;

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

use weirgate_queue::private::{self, Sealing};

use crate::os_random;

pub use self::key::{KeyName, SecretKey, WrongKey};

/// The one form of sealed bytes that there is.
const VERSION: u8 = 1;

/// Bytes of a nonce.
const NONCE: usize = 24;

/// Bytes before the nonce, which tell the key: the same in all that one key has sealed.
pub const HEADER: usize = 1 + KeyName::BYTES;

/// The key that seals, and another that opens as well.
#[derive(Clone)]
pub struct SecretKeys {
    current: SecretKey,
    old: Option<SecretKey>,
}

/// Why something sealed is not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    /// Another key has sealed it.
    #[error(
        "{place} is sealed with the key {key}, which is neither WEIRGATE_SECRET_KEY nor WEIRGATE_SECRET_KEY_OLD"
    )]
    UnknownKey {
        /// Where it is kept.
        place: String,
        /// The key that sealed it.
        key: KeyName,
    },
    /// It was changed, or was sealed for another place.
    #[error("what is kept in {0} is damaged, or was sealed for another place")]
    Damaged(String),
    /// It has another form.
    #[error("what is kept in {0} is sealed in a form that this version does not know")]
    UnknownForm(String),
}

impl SecretKeys {
    /// `current` seals, and both open. The same key twice is one.
    pub fn new(current: SecretKey, old: Option<SecretKey>) -> Self {
        let old = old.filter(|old| old.name() != current.name());
        Self { current, old }
    }

    /// Seals `plain` for `place`.
    ///
    /// # Errors
    /// When it is larger than the cipher takes, which is 256 GiB.
    pub fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, SealingError> {
        let header = header_of(self.current.name());
        let nonce = os_random::bytes::<NONCE>();
        let bound = bound_to(&header, place);
        let payload = Payload { msg: plain, aad: &bound };
        let sealed = cipher(&self.current)
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| SealingError::Damaged(place.to_owned()))?;
        Ok([header.as_slice(), &nonce, &sealed].concat())
    }

    /// What was sealed for `place`.
    ///
    /// # Errors
    /// When neither of the keys has sealed it, it was sealed for another place, or it was changed.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, SealingError> {
        let unknown = || SealingError::UnknownForm(place.to_owned());
        let damaged = || SealingError::Damaged(place.to_owned());
        let name = sealed_by(sealed).ok_or_else(unknown)?;
        let (header, rest) = sealed.split_at_checked(HEADER).ok_or_else(unknown)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>().ok_or_else(damaged)?;
        let key = self
            .all()
            .find(|key| key.name() == name)
            .ok_or_else(|| SealingError::UnknownKey { place: place.to_owned(), key: name })?;
        let bound = bound_to(header, place);
        cipher(key)
            .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &bound })
            .map_err(|_| damaged())
    }

    /// Whether the key that seals now has sealed it.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        sealed_by(sealed) == Some(self.current.name())
    }

    /// Whether one of the keys has this name.
    pub fn has(&self, name: KeyName) -> bool {
        self.all().any(|key| key.name() == name)
    }

    /// The name of the key that seals.
    pub fn current(&self) -> KeyName {
        self.current.name()
    }

    /// The name of the other one.
    pub fn old(&self) -> Option<KeyName> {
        self.old.as_ref().map(SecretKey::name)
    }

    /// What all that is sealed with the present key begins with.
    pub fn header(&self) -> [u8; HEADER] {
        header_of(self.current.name())
    }

    /// A key for another purpose, of each of the keys: what is made with the first is checked with
    /// all of them.
    pub fn derived(&self, purpose: &str) -> impl Iterator<Item = [u8; 32]> {
        self.all().map(move |key| key.derived(purpose)).collect::<Vec<_>>().into_iter()
    }

    fn all(&self) -> impl Iterator<Item = &SecretKey> {
        std::iter::once(&self.current).chain(&self.old)
    }
}

impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKeys").finish_non_exhaustive()
    }
}

/// The name of the key that sealed it; `None` where that has another form.
pub fn sealed_by(sealed: &[u8]) -> Option<KeyName> {
    let (&version, rest) = sealed.split_first()?;
    let name = rest.first_chunk()?;
    (version == VERSION).then(|| KeyName::from(*name))
}

fn header_of(name: KeyName) -> [u8; HEADER] {
    let mut header = [VERSION; HEADER];
    header[1..].copy_from_slice(name.as_ref());
    header
}

/// What a sealed value cannot be moved away from. The header has one length, so that no two pairs
/// of these make the same bytes.
fn bound_to(header: &[u8], place: &str) -> Vec<u8> {
    [header, place.as_bytes()].concat()
}

/// What jobs know of people is sealed with the same keys.
impl Sealing for SecretKeys {
    fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, private::SealingError> {
        Self::seal(self, place, plain).map_err(Into::into)
    }

    fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, private::SealingError> {
        Self::open(self, place, sealed).map_err(Into::into)
    }

    fn is_current(&self, sealed: &[u8]) -> bool {
        Self::is_current(self, sealed)
    }
}

impl From<SealingError> for private::SealingError {
    fn from(error: SealingError) -> Self {
        match error {
            SealingError::UnknownKey { key, .. } => Self::UnknownKey(key.to_string()),
            SealingError::Damaged(_) | SealingError::UnknownForm(_) => Self::Damaged,
        }
    }
}

fn cipher(key: &SecretKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&key.derived("sealing").into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(current: u8, old: Option<u8>) -> SecretKeys {
        let key = |first: u8| SecretKey::from([first; 32]);
        SecretKeys::new(key(current), old.map(key))
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_in_its_place_with_its_key_alone(
            plain in proptest::collection::vec(any::<u8>(), 0..200),
            place in "[a-z_]{1,12}/[a-z0-9-]{0,40}",
            other in "[a-z_]{1,12}/[a-z0-9-]{0,40}",
            bit in any::<prop::sample::Index>(),
        ) {
            let keys = self::keys(1, None);
            let sealed = keys.seal(&place, &plain).unwrap();
            prop_assert_eq!(keys.open(&place, &sealed).unwrap(), plain.clone());
            prop_assert_eq!(self::keys(2, Some(1)).open(&place, &sealed).unwrap(), plain.clone());
            prop_assert!(self::keys(2, None).open(&place, &sealed).is_err());
            prop_assert!(place == other || keys.open(&other, &sealed).is_err());
            let mut flipped = sealed.clone();
            let bit = bit.index(sealed.len() * 8);
            flipped[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(keys.open(&place, &flipped).is_err(), "bit {}", bit);
            prop_assert!(keys.open(&place, &sealed[..bit / 8]).is_err(), "cut after {}", bit / 8);
            prop_assert!(plain.len() < 8 || !sealed.windows(plain.len()).any(|part| part == plain));
        }
    }

    #[test]
    fn sealed_twice_it_differs() {
        let keys = keys(1, None);
        assert_ne!(keys.seal("a/1", b"same").unwrap(), keys.seal("a/1", b"same").unwrap());
    }

    #[test]
    fn the_key_that_sealed_is_told() {
        let (before, during, after) = (keys(1, Some(2)), keys(2, Some(1)), keys(2, None));
        let sealed = before.seal("a/1", b"it").unwrap();
        assert_eq!(sealed_by(&sealed), Some(before.current()));
        assert!(sealed.starts_with(&before.header()));
        assert!(before.is_current(&sealed) && !during.is_current(&sealed));
        assert!(during.has(before.current()) && !after.has(before.current()));
        let error = after.open("a/1", &sealed).unwrap_err();
        assert_eq!(error, SealingError::UnknownKey { place: "a/1".to_owned(), key: before.current() });
        assert!(error.to_string().contains(&before.current().to_string()), "{error}");
        // Hosts that have changed, and those that are yet to, read what the others seal.
        let sealed = during.seal("a/1", b"it").unwrap();
        assert_eq!(before.open("a/1", &sealed).unwrap(), b"it");
    }

    #[test]
    fn derived_keys_are_of_their_purpose_and_the_present_one_comes_first() {
        let of = |keys: &SecretKeys, purpose| keys.derived(purpose).collect::<Vec<_>>();
        let (one, two) = (keys(1, None), keys(2, Some(1)));
        assert_eq!(of(&two, "refresh")[1], of(&one, "refresh")[0]);
        assert_ne!(of(&two, "refresh")[0], of(&one, "refresh")[0]);
        assert_ne!(of(&one, "refresh"), of(&one, "sealing"));
        assert_eq!(of(&keys(1, Some(1)), "refresh").len(), 1, "the same key twice is one");
    }

    #[test]
    fn nothing_shows_a_key() {
        let keys = keys(0xab, Some(0xcd));
        assert_eq!(format!("{keys:?}"), "SecretKeys { .. }");
        assert_eq!(format!("{:?}", keys.current), "SecretKey { .. }");
    }
}
