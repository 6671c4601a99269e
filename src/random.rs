//! The one place where this process gets randomness from; everything else is handed a generator.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// A generator that nobody can predict.
#[expect(clippy::disallowed_methods, reason = "the root of all randomness of this process")]
pub(crate) fn generator() -> StdRng {
    StdRng::from_rng(&mut rand::rng())
}
