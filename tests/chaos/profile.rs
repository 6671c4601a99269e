//! How much of each fault, and where chance comes from.

use std::io::Write;
use std::sync::OnceLock;

use rand::SeedableRng;
use rand::rngs::StdRng;
use uuid::Uuid;

/// `short` in the short profile, `long` with `CHAOS=long`.
pub(crate) fn times(short: usize, long: usize) -> usize {
    match std::env::var("CHAOS").as_deref() {
        Ok("long") => long,
        Ok("short") | Err(_) => short,
        Ok(other) => panic!("CHAOS={other}: expected short or long"),
    }
}

/// Whether faults run that take long and whose kind the short profile has.
pub(crate) fn long() -> bool {
    times(0, 1) == 1
}

/// The seed of this run: `CHAOS_SEED`, or one that nobody chose.
pub(crate) fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| {
        let seed = match std::env::var("CHAOS_SEED") {
            Ok(text) => text.parse().unwrap_or_else(|_| panic!("CHAOS_SEED={text}: expected a whole number")),
            // Its last bits are random.
            Err(_) => Uuid::now_v7().as_u64_pair().1 & 0xffff_ffff,
        };
        // Past libtest's capture, which shows a test's own output only when that one fails.
        let _ = writeln!(std::io::stderr(), "CHAOS_SEED={seed}");
        seed
    })
}

/// A generator of its own for each part that draws, so that one's draws do not move another's.
pub(crate) fn rng(part: &str) -> StdRng {
    // FNV-1a, as the standard hasher's result may change between releases.
    let hash = part.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    StdRng::seed_from_u64(seed() ^ hash)
}
