//! The signing keys in the memory of several processes, each of which has a [`KeySet`] of its own.

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use serde_json::Value;
use sqlx::PgPool;
use std::time::Duration;
use weirgate_identity::access_token::{Claims, TokenError, sign, verify};
use weirgate_identity::audit::Actor;
use weirgate_identity::signing_keys::key_set::{NoSigner, Unavailable};
use weirgate_identity::signing_keys::{self, State};
use weirgate_identity::{KeySet, SealingError, SecretKeys};
use weirgate_test_support::{IDENTITY, TestDb};

use crate::support::{AUD, ISS, NOW, claims, ensure, key_set, secret, secrets};

async fn check(keys: &KeySet, token: &str) -> Result<Claims, TokenError> {
    verify(keys, token, ISS, AUD, DateTime::<Utc>::from_timestamp(NOW, 0).unwrap()).await
}

async fn rotate(pool: &PgPool) -> String {
    let mut tx = pool.begin().await.unwrap();
    let kid = signing_keys::rotate(&mut tx, &Actor::cli(), &secrets()).await.unwrap();
    tx.commit().await.unwrap();
    kid
}

fn kids(jwks: &Value) -> Vec<&str> {
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_first_token_makes_the_first_key() {
    let db = TestDb::of(&IDENTITY).await;
    let (here, there) = (key_set(&db.pool), key_set(&db.pool));
    assert_eq!(kids(&there.jwks().await.unwrap()), Vec::<&str>::new());
    let token = sign(&here, &claims()).await.unwrap();
    assert_eq!(check(&here, &token).await, Ok(claims()));
    assert_eq!(check(&there, &token).await, Ok(claims()), "another process had read none before");
    assert_eq!(kids(&there.jwks().await.unwrap()).len(), 1);
}

#[tokio::test]
async fn tokens_of_the_former_key_and_of_the_new_one_are_good_everywhere_while_keys_rotate() {
    let db = TestDb::of(&IDENTITY).await;
    let (here, there) = (key_set(&db.pool), key_set(&db.pool));
    let mut tokens = vec![sign(&here, &claims()).await.unwrap()];
    check(&there, &tokens[0]).await.unwrap();
    for _ in 0..3 {
        let kid = rotate(&db.pool).await;
        // A process that has just begun signs with the new key; the others have not read it yet,
        // and go on with the former one.
        tokens.push(sign(&key_set(&db.pool), &claims()).await.unwrap());
        tokens.push(sign(&here, &claims()).await.unwrap());
        for token in &tokens {
            for keys in [&here, &there] {
                assert_eq!(check(keys, token).await, Ok(claims()));
            }
        }
        assert!(kids(&there.jwks().await.unwrap()).contains(&kid.as_str()));
    }
    assert_eq!(kids(&there.jwks().await.unwrap()).len(), 4);
}

#[tokio::test]
async fn made_up_keys_do_not_cost_a_query_each() {
    let db = TestDb::of(&IDENTITY).await;
    let keys = key_set(&db.pool);
    let token = sign(&keys, &claims()).await.unwrap();
    let before = keys.loads();
    let header = |kid: &str| format!(r#"{{"typ":"at+jwt","alg":"EdDSA","kid":"{kid}"}}"#);
    let (_, rest) = token.split_once('.').unwrap();
    let made_up: Vec<String> = (0..200_u8)
        .map(|number| signing_keys::thumbprint(&[number; 32]))
        .map(|kid| format!("{}.{rest}", crate::access_tokens::encoded(header(&kid))))
        .collect();
    for refused in join_all(made_up.iter().map(|token| check(&keys, token))).await {
        assert_eq!(refused, Err(TokenError::Key));
    }
    let loads = keys.loads() - before;
    // Reads are a second apart; all of these came within one, as a rule.
    assert!((1..20).contains(&loads), "{loads}");
    let no_thumbprint = format!("{}.{rest}", crate::access_tokens::encoded(header("1")));
    let before = keys.loads();
    assert_eq!(check(&keys, &no_thumbprint).await, Err(TokenError::Key));
    assert_eq!(keys.loads(), before, "no key is called so");
}

#[tokio::test]
async fn a_revoked_key_and_one_at_its_end_verify_nothing() {
    let db = TestDb::of(&IDENTITY).await;
    let pool = &db.pool;
    let token = sign(&key_set(pool), &claims()).await.unwrap();
    let first = ensure(pool).await.signing;
    rotate(pool).await;
    assert_eq!(check(&key_set(pool), &token).await, Ok(claims()));
    db.travel(Duration::from_mins(62)).await;
    assert_eq!(check(&key_set(pool), &token).await, Err(TokenError::Key), "the key is at its end");

    let token = sign(&key_set(pool), &claims()).await.unwrap();
    let second = ensure(pool).await.signing;
    assert_ne!(first, second);
    let mut tx = pool.begin().await.unwrap();
    signing_keys::revoke(&mut tx, &Actor::cli(), &secrets(), &second).await.unwrap();
    tx.commit().await.unwrap();
    let keys = key_set(pool);
    assert_eq!(check(&keys, &token).await, Err(TokenError::Key), "the key is revoked");
    assert!(!kids(&keys.jwks().await.unwrap()).contains(&second.as_str()));
}

#[tokio::test]
async fn the_next_key_is_shown_before_it_signs() {
    let db = TestDb::of(&IDENTITY).await;
    ensure(&db.pool).await;
    db.travel(Duration::from_hours(29 * 24 + 1)).await;
    let next = ensure(&db.pool).await.next.unwrap();
    let keys = key_set(&db.pool);
    assert_eq!(kids(&keys.jwks().await.unwrap())[1], next);
    let token = sign(&keys, &claims()).await.unwrap();
    let header = jsonwebtoken::decode_header(&token).unwrap();
    assert_ne!(header.kid.as_deref(), Some(next.as_str()), "it does not sign yet");
    // Its time comes without any process doing anything.
    db.travel(Duration::from_hours(24)).await;
    let token = sign(&key_set(&db.pool), &claims()).await.unwrap();
    assert_eq!(jsonwebtoken::decode_header(&token).unwrap().kid.as_deref(), Some(next.as_str()));
    let all = signing_keys::list(&mut db.pool.acquire().await.unwrap()).await.unwrap();
    assert_eq!(all.iter().map(|key| key.state).collect::<Vec<_>>(), [State::Signing, State::Verifying]);
}

#[tokio::test]
async fn a_key_that_another_secret_key_sealed_verifies_and_does_not_sign() {
    let db = TestDb::of(&IDENTITY).await;
    let token = sign(&key_set(&db.pool), &claims()).await.unwrap();
    let other = KeySet::new(db.pool.clone(), SecretKeys::new(secret(2), None));
    assert_eq!(check(&other, &token).await, Ok(claims()));
    let error = sign(&other, &claims()).await.unwrap_err();
    let expected = secrets().current();
    assert!(
        matches!(
            &error,
            weirgate_identity::access_token::SigningError::NoSigner(NoSigner::Sealed(
                SealingError::UnknownKey { key, .. }
            )) if *key == expected
        ),
        "{error}"
    );
}

#[tokio::test]
async fn without_a_database_nobody_says_that_a_token_is_wrong() {
    let db = TestDb::of(&IDENTITY).await;
    let token = sign(&key_set(&db.pool), &claims()).await.unwrap();
    let keys = key_set(&db.pool);
    db.pool.close().await;
    assert_eq!(check(&keys, &token).await, Err(TokenError::Unavailable(Unavailable)));
}
