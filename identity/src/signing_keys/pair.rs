//! An Ed25519 key and what it is called.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::os_random;

/// A key that is about to be stored.
pub(super) struct Pair {
    private: SigningKey,
    kid: String,
}

impl Pair {
    pub(super) fn generate() -> Self {
        Self::of(os_random::bytes())
    }

    fn of(private: [u8; 32]) -> Self {
        let private = SigningKey::from_bytes(&private);
        let kid = thumbprint(private.verifying_key().as_bytes());
        Self { private, kid }
    }

    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    pub(super) fn private(&self) -> &[u8; 32] {
        self.private.as_bytes()
    }

    pub(super) fn jwk(&self) -> Value {
        jwk(self.private.verifying_key().as_bytes())
    }
}

/// A public key as RFC 8037 writes it, with what it is for.
pub fn jwk(public: &[u8; 32]) -> Value {
    json!({
        "kty": "OKP",
        "crv": "Ed25519",
        "x": URL_SAFE_NO_PAD.encode(public),
        "kid": thumbprint(public),
        "alg": "EdDSA",
        "use": "sig",
    })
}

/// The public key of a JWK's `x`.
pub(super) fn public(x: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(x).ok()?.try_into().ok()
}

/// Whether a key could be called so. What cannot is not looked for.
pub(super) fn is_kid(text: &str) -> bool {
    text.len() == 43 && public(text).is_some()
}

/// What a key is called: its thumbprint (RFC 7638), which is the hash of the members that it must
/// have, in the order of their names.
pub fn thumbprint(public: &[u8; 32]) -> String {
    let x = URL_SAFE_NO_PAD.encode(public);
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(members))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_8037_has_its_public_key_and_thumbprint() {
        // Appendix A.1 to A.3.
        let d = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let pair = Pair::of(d.try_into().unwrap());
        assert_eq!(pair.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let jwk = pair.jwk();
        assert_eq!(jwk["x"], "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(jwk["kid"], pair.kid());
        assert!(is_kid(pair.kid()));
        assert!(jwk.get("d").is_none(), "the private half stays here: {jwk}");
    }

    #[test]
    fn what_is_no_thumbprint_is_no_kid() {
        let good = Pair::generate().kid().to_owned();
        for kid in ["", "1", &good[1..], &format!("{good}="), &format!("{}+", &good[1..])] {
            assert!(!is_kid(kid), "{kid}");
        }
    }
}
