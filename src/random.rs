//! The one place where this process gets randomness from; everything else is handed a generator.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// 256 random bits as text.
pub(crate) fn text() -> String {
    hex::encode(bytes())
}

/// 256 random bits.
pub(crate) fn bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    generator().fill_bytes(&mut bytes);
    bytes
}

/// A generator that nobody can predict.
#[expect(clippy::disallowed_methods, reason = "the root of all randomness of this process")]
pub(crate) fn generator() -> StdRng {
    StdRng::from_rng(&mut rand::rng())
}
