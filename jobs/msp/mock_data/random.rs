//! Where all that is random comes from: each row, and each tenant, has a stream of its own.

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

/// The random streams of a tenant beside those of its datasets.
pub(super) const TENANT: u64 = 99;

/// Random numbers for one row: `key` is seed and tenant, `kind` the dataset.
pub(super) fn rng(key: [u64; 2], kind: u64, row: u64) -> ChaCha8Rng {
    let mut seed = [0; 32];
    for (part, number) in seed.chunks_exact_mut(8).zip([key[0], key[1], kind]) {
        part.copy_from_slice(&number.to_le_bytes());
    }
    let mut rng = ChaCha8Rng::from_seed(seed);
    rng.set_stream(row);
    rng
}
