//! Which access tokens are refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use ed25519_dalek::SigningKey;
use ed25519_dalek::ed25519::signature::Signer as _;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use weirgate_identity::KeySet;
use weirgate_identity::access_token::{Claims, SigningError, TYPE, TokenError, sign, verify};
use weirgate_test_support::{IDENTITY, TestDb};

use crate::support::{AUD, ISS, NOW, claims, ensure, key_set, secrets};

pub(crate) fn encoded(part: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(part)
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

/// A key of the database that somebody has stolen.
struct Stolen {
    kid: String,
    key: SigningKey,
}

impl Stolen {
    async fn of(db: &TestDb) -> Self {
        let kid = ensure(&db.pool).await.signing;
        let sealed: Vec<u8> =
            sqlx::query_scalar("select private_sealed from identity.signing_keys where kid = $1")
                .bind(&kid)
                .fetch_one(&db.pool)
                .await
                .unwrap();
        let private = secrets().open(&format!("identity.signing_keys/{kid}"), &sealed).unwrap();
        Self { kid, key: SigningKey::from_bytes(&private.try_into().unwrap()) }
    }

    fn header(&self) -> Value {
        json!({ "typ": TYPE, "alg": "EdDSA", "kid": self.kid })
    }

    /// Signs whatever it is given.
    fn token(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let signature = self.key.sign(message.as_bytes()).to_bytes();
        format!("{message}.{}", encoded(signature))
    }

    fn token_of(&self, claims: &Claims) -> String {
        self.token(&self.header(), &json!(claims))
    }
}

async fn check(keys: &KeySet, token: &str) -> Result<Claims, TokenError> {
    verify(keys, token, ISS, AUD, at(NOW)).await
}

#[tokio::test]
async fn a_token_says_what_rfc_9068_wants() {
    let db = TestDb::of(&IDENTITY).await;
    let keys = key_set(&db.pool);
    let token = sign(&keys, &claims()).await.unwrap();
    let [header, payload, _] = token
        .split('.')
        .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap())
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let [header, payload] = [header, payload].map(|part| serde_json::from_slice::<Value>(&part).unwrap());
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("EdDSA")));
    assert_eq!(header["kid"], keys.jwks().await.unwrap()["keys"][0]["kid"]);
    for claim in
        ["iss", "aud", "sub", "client_id", "iat", "exp", "jti", "scope", "sid", "tenantId", "role", "app"]
    {
        assert!(!payload[claim].is_null(), "{claim} in {payload}");
    }
    let above_tenants = Claims { tenant_id: None, ..claims() };
    let token = sign(&keys, &above_tenants).await.unwrap();
    assert_eq!(check(&keys, &token).await, Ok(above_tenants));
}

#[tokio::test]
async fn a_token_in_another_form_or_signed_in_another_way_is_refused() {
    let db = TestDb::of(&IDENTITY).await;
    let (keys, stolen) = (key_set(&db.pool), Stolen::of(&db).await);
    let good = stolen.token_of(&claims());
    assert_eq!(check(&keys, &good).await, Ok(claims()), "those below differ in one thing each");
    let (message, signature) = good.rsplit_once('.').unwrap();
    let with = |name: &str, value: Value| {
        let mut header = stolen.header();
        header[name] = value;
        header
    };
    let none = encoded(with("alg", json!("none")).to_string());
    let payload = encoded(json!(claims()).to_string());
    let by_hmac = |secret: &[u8]| {
        let message = format!("{}.{payload}", encoded(with("alg", json!("HS256")).to_string()));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
        mac.update(message.as_bytes());
        format!("{message}.{}", encoded(mac.finalize().into_bytes()))
    };
    let public = stolen.key.verifying_key().to_bytes();
    let other = SigningKey::from_bytes(&[7; 32]);
    let forged = Stolen { kid: stolen.kid.clone(), key: other };
    let tampered = encoded(json!(Claims { role: "admin".to_owned(), ..claims() }).to_string());
    let signed = |header: &Value| stolen.token(header, &json!(claims()));
    let without = |name: &str| {
        let mut header = stolen.header();
        header.as_object_mut().unwrap().remove(name);
        signed(&header)
    };
    let mut flipped = URL_SAFE_NO_PAD.decode(signature).unwrap();
    flipped[40] ^= 1;
    for (what, token, why) in [
        ("nothing", String::new(), TokenError::Form),
        ("no JWT", "wg_1a2b3c4d_00".to_owned(), TokenError::Form),
        ("two parts", message.to_owned(), TokenError::Form),
        ("a fourth part", format!("{good}.x"), TokenError::Form),
        ("too long", format!("{good}{}", "A".repeat(4096)), TokenError::Form),
        ("alg none", format!("{none}.{payload}."), TokenError::Form),
        ("alg none, signed all the same", format!("{none}.{payload}.{signature}"), TokenError::Form),
        ("HS256 with the public key", by_hmac(&public), TokenError::Algorithm),
        ("HS256 with it as the JWK shows it", by_hmac(encoded(public).as_bytes()), TokenError::Algorithm),
        ("RS256", signed(&with("alg", json!("RS256"))), TokenError::Algorithm),
        ("ES256", signed(&with("alg", json!("ES256"))), TokenError::Algorithm),
        ("an ID token's type", signed(&with("typ", json!("JWT"))), TokenError::Type),
        ("no type", without("typ"), TokenError::Type),
        ("no kid", without("kid"), TokenError::Key),
        ("an unknown kid", signed(&with("kid", json!("A".repeat(43)))), TokenError::Key),
        ("a kid that is none", signed(&with("kid", json!("../1"))), TokenError::Key),
        ("a critical header that nobody knows", signed(&with("crit", json!(["b64x"]))), TokenError::Form),
        ("another key under this name", forged.token_of(&claims()), TokenError::Signature),
        ("a changed payload", good.replace(&payload, &tampered), TokenError::Signature),
        ("no signature", format!("{message}."), TokenError::Signature),
        ("a changed signature", format!("{message}.{}", encoded(flipped)), TokenError::Signature),
        ("a signature cut short", format!("{message}.{}", &signature[..60]), TokenError::Signature),
    ] {
        assert_eq!(check(&keys, &token).await, Err(why), "{what}: {token}");
    }
    let longer_type = signed(&with("typ", json!("application/AT+JWT")));
    assert_eq!(check(&keys, &longer_type).await, Ok(claims()), "the same type, written out");
}

#[tokio::test]
async fn a_token_for_others_or_that_says_too_little_is_refused() {
    let db = TestDb::of(&IDENTITY).await;
    let (keys, stolen) = (key_set(&db.pool), Stolen::of(&db).await);
    let elsewhere = "https://elsewhere.example.com".to_owned();
    let issuer = Claims { iss: elsewhere.clone(), ..claims() };
    assert_eq!(check(&keys, &stolen.token_of(&issuer)).await, Err(TokenError::Issuer));
    let audience = Claims { aud: elsewhere, ..claims() };
    assert_eq!(check(&keys, &stolen.token_of(&audience)).await, Err(TokenError::Audience));
    for name in json!(claims()).as_object().unwrap().keys().filter(|name| *name != "tenantId") {
        let mut said = json!(claims());
        said.as_object_mut().unwrap().remove(name);
        let refused = check(&keys, &stolen.token(&stolen.header(), &said)).await;
        assert_eq!(refused, Err(TokenError::Form), "without {name}");
        said[name] = json!({});
        let refused = check(&keys, &stolen.token(&stolen.header(), &said)).await.unwrap_err();
        assert!(matches!(refused, TokenError::Form), "{name} of another type: {refused}");
    }
}

#[tokio::test]
async fn a_token_is_good_in_its_time_give_or_take_half_a_minute() {
    let db = TestDb::of(&IDENTITY).await;
    let keys = key_set(&db.pool);
    let token = sign(&keys, &claims()).await.unwrap();
    for (now, expected) in [
        (NOW - 31, Err(TokenError::Later)),
        (NOW - 30, Ok(claims())),
        (NOW + 600, Ok(claims())),
        (NOW + 629, Ok(claims())),
        (NOW + 630, Err(TokenError::Ended)),
    ] {
        assert_eq!(verify(&keys, &token, ISS, AUD, at(now)).await, expected, "{}", now - NOW);
    }
}

#[tokio::test]
async fn no_token_outlives_the_key_that_signs_it() {
    let db = TestDb::of(&IDENTITY).await;
    let keys = key_set(&db.pool);
    for (life, is_made) in [(0, false), (-1, false), (1, true), (3600, true), (3601, false)] {
        let made = sign(&keys, &Claims { exp: NOW + life, ..claims() }).await;
        assert_eq!(made.is_ok(), is_made, "{life} s");
        assert!(is_made || matches!(made, Err(SigningError::Life)), "{life} s");
    }
}
