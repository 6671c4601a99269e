//! Bytes that nobody may guess, and no caller may choose: keys that are made, and the nonces of
//! what is sealed. One nonce used twice would give away what both have sealed.

use rand::TryRng;
use rand::rngs::SysRng;

/// Random bytes of the operating system.
///
/// # Panics
/// Where it has none, as no key can be made then.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
