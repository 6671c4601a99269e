//! What tests of keys and tokens share.

use sqlx::PgPool;
use uuid::Uuid;
use weirgate_identity::access_token::Claims;
use weirgate_identity::signing_keys::{self, Ensured};
use weirgate_identity::{KeySet, SecretKey, SecretKeys};

/// Who issues the tokens of these tests, and for whom.
pub(crate) const ISS: &str = "https://jobs.example.com";
pub(crate) const AUD: &str = "https://jobs.example.com/api";

/// The machine's time in these tests: 2026-01-20 12:00 UTC.
pub(crate) const NOW: i64 = 1_768_910_400;

/// A secret key by its number.
pub(crate) fn secret(number: u8) -> SecretKey {
    SecretKey::from([number; 32])
}

pub(crate) fn secrets() -> SecretKeys {
    SecretKeys::new(secret(1), None)
}

/// The keys as a process of their own sees them.
pub(crate) fn key_set(pool: &PgPool) -> KeySet {
    KeySet::new(pool.clone(), secrets())
}

/// Claims that are good for ten minutes.
pub(crate) fn claims() -> Claims {
    Claims {
        iss: ISS.to_owned(),
        aud: AUD.to_owned(),
        sub: Uuid::from_u128(1),
        tenant_id: Some(Uuid::from_u128(2)),
        app: "platform".to_owned(),
        role: "operator".to_owned(),
        email: "ada@example.com".to_owned(),
        scope: "jobs:read jobs:write".to_owned(),
        client_id: "dashboard".to_owned(),
        sid: Uuid::from_u128(3),
        jti: Uuid::from_u128(4),
        iat: NOW,
        exp: NOW + 600,
    }
}

pub(crate) async fn ensure(pool: &PgPool) -> Ensured {
    let mut tx = pool.begin().await.unwrap();
    let ensured = signing_keys::ensure(&mut tx, &secrets()).await.unwrap();
    tx.commit().await.unwrap();
    ensured
}
