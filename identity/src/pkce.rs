//! Proof Key for Code Exchange (RFC 7636), by the method S256 alone: whoever asks for a code sends
//! the hash of a secret, and whoever uses the code must know the secret.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Characters of a challenge: SHA-256 in base64url.
const CHALLENGE: usize = 43;

/// Whether a text can be a challenge.
pub fn is_challenge(text: &str) -> bool {
    text.len() == CHALLENGE && URL_SAFE_NO_PAD.decode(text).is_ok_and(|hash| hash.len() == 32)
}

/// Whether a text can be a verifier: 43 to 128 characters that need no escape in a URL.
pub fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// Whether a verifier is the one of a challenge.
pub fn matches(verifier: &str, challenge: &str) -> bool {
    is_verifier(verifier) && bool::from(challenge_of(verifier).as_bytes().ct_eq(challenge.as_bytes()))
}

/// The challenge of a verifier.
pub fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const OF_VERIFIER: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_example_of_the_standard_matches() {
        assert_eq!(challenge_of(VERIFIER), OF_VERIFIER);
        assert!(is_challenge(OF_VERIFIER) && is_verifier(VERIFIER) && matches(VERIFIER, OF_VERIFIER));
    }

    #[test]
    fn another_verifier_or_the_challenge_itself_does_not_match() {
        let other = VERIFIER.replacen('d', "e", 1);
        assert!(!matches(&other, OF_VERIFIER), "another secret");
        assert!(!matches(OF_VERIFIER, OF_VERIFIER), "the method plain");
        assert!(!matches("", "") && !matches(&VERIFIER[..42], &challenge_of(&VERIFIER[..42])), "too short");
        let long = "a".repeat(129);
        assert!(!matches(&long, &challenge_of(&long)), "too long");
        assert!(!is_verifier(&format!("{} ", &VERIFIER[..42])) && !is_challenge(&OF_VERIFIER[..42]));
        assert!(!is_challenge(&format!("{}=", &OF_VERIFIER[..42])) && !is_challenge(&"é".repeat(43)));
    }
}
