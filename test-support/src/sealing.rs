//! Keys for private arguments.

use std::sync::Arc;

use chacha20poly1305::aead::{Aead, Generate, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use weirgate_queue::private::{Sealing, SealingError};

const NONCE_BYTES: usize = 24;

/// Seals with the present key and opens with that and old ones. A test names keys by numbers.
#[derive(Debug)]
pub struct TestKeys {
    present: u8,
    old: Vec<u8>,
}

impl TestKeys {
    pub fn new(present: u8) -> Arc<Self> {
        Self::rotated(present, &[])
    }

    pub fn rotated(present: u8, old: &[u8]) -> Arc<Self> {
        Arc::new(Self { present, old: old.to_vec() })
    }
}

fn cipher(key: u8) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&[key; 32].into())
}

/// What is sealed is the number of its key, the nonce, and the ciphertext.
impl Sealing for TestKeys {
    fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, SealingError> {
        let nonce = XNonce::generate();
        let payload = Payload { msg: plain, aad: place.as_bytes() };
        let ciphertext = cipher(self.present).encrypt(&nonce, payload).expect("it is short");
        Ok([&[self.present][..], &nonce[..], &ciphertext[..]].concat())
    }

    fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, SealingError> {
        let (key, rest) = sealed.split_first().ok_or(SealingError::Damaged)?;
        if *key != self.present && !self.old.contains(key) {
            return Err(SealingError::UnknownKey(key.to_string()));
        }
        let (nonce, ciphertext) = rest.split_at_checked(NONCE_BYTES).ok_or(SealingError::Damaged)?;
        let nonce = XNonce::try_from(nonce).expect("it has the length of one");
        let payload = Payload { msg: ciphertext, aad: place.as_bytes() };
        cipher(*key).decrypt(&nonce, payload).map_err(|_| SealingError::Damaged)
    }

    fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.first() == Some(&self.present)
    }
}
