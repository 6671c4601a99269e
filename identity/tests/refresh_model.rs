//! Refresh tokens against a model: random uses of old and new ones, at random distances.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use sqlx::PgPool;
use uuid::Uuid;
use weirgate_identity::accounts::{self, New};
use weirgate_identity::grants::refresh::{self, Rotated};
use weirgate_identity::grants::{self, IDLE};
use weirgate_identity::memberships;
use weirgate_test_support::{IDENTITY, TestDb, tenant};

const KEYS: [[u8; 32]; 2] = [[1; 32], [2; 32]];
const GRANTS: u64 = 25;
const USES: usize = 40;

/// A token of the model.
struct Token {
    text: String,
    /// When it was used first, and what took its place.
    used: Option<(Duration, usize)>,
}

/// What the rules say of one grant.
struct Model {
    tokens: Vec<Token>,
    revoked: bool,
    /// When tokens were last given out.
    used_at: Duration,
}

#[derive(Debug, PartialEq, Eq)]
enum Expected {
    /// Another token than all before.
    New,
    /// The successor that there is.
    Same(usize),
    Invalid,
    Reused,
}

impl Model {
    fn expect(&self, at: usize, now: Duration) -> Expected {
        if self.revoked || now >= self.used_at + IDLE {
            return Expected::Invalid;
        }
        match self.tokens[at].used {
            None => Expected::New,
            Some((used_at, child))
                if now < used_at + Duration::from_secs(10) && self.tokens[child].used.is_none() =>
            {
                Expected::Same(child)
            }
            Some(_) => Expected::Reused,
        }
    }
}

/// Begins a grant of a new account.
async fn begin(pool: &PgPool, tenant: Uuid, seed: u64) -> String {
    let mut conn = pool.acquire().await.unwrap();
    let email = format!("member{seed}@acme.example");
    let account = accounts::create(&mut conn, New { email: &email, ..New::default() }).await.unwrap().id;
    let membership = memberships::give(&mut conn, account, "msp", Some(tenant), "reader").await.unwrap();
    let id = Uuid::now_v7();
    let new = grants::New {
        id,
        account,
        membership,
        client: None,
        scopes: None,
        token_epoch: 0,
        address: None,
        user_agent: None,
    };
    grants::begin(&mut conn, new).await.unwrap();
    let mut random = [0; 32];
    random[..8].copy_from_slice(&seed.to_be_bytes());
    let first = refresh::first(random);
    refresh::begin(&mut conn, id, &first).await.unwrap();
    first
}

#[tokio::test]
async fn tokens_do_what_the_model_says_whichever_is_used_when() {
    let db = TestDb::of(&IDENTITY).await;
    let tenant = tenant(&db.pool, "acme", "UTC").await.id;
    let (mut now, mut counts) = (Duration::ZERO, [0; 4]);
    for seed in 0..GRANTS {
        let mut rng = StdRng::seed_from_u64(seed);
        let first = begin(&db.pool, tenant, seed).await;
        let token = Token { text: first, used: None };
        let mut model = Model { tokens: vec![token], revoked: false, used_at: now };
        for step in 0..USES {
            // Sums of these are seconds away from the limits, as the machine's own time counts too.
            let seconds = [0, 0, 4, 16, 600, 3600][rng.random_range(0..6)];
            // Long enough to end the grant, which is rare.
            let seconds = if rng.random_ratio(1, 60) { 9 * 3600 } else { seconds };
            db.travel(Duration::from_secs(seconds)).await;
            now += Duration::from_secs(seconds);
            // Mostly the newest, sometimes one of the last three.
            let back = if rng.random_ratio(2, 3) { 0 } else { rng.random_range(0..3) };
            let at = (model.tokens.len() - 1).saturating_sub(back);
            let expected = model.expect(at, now);
            // A key that is on its way out derives what it derived.
            let keys = if rng.random_ratio(1, 2) { KEYS } else { [KEYS[1], KEYS[0]] };
            let mut nonce = [0; 32];
            rng.fill_bytes(&mut nonce);
            let mut tx = db.pool.begin().await.unwrap();
            let rotated = refresh::rotate(&mut tx, &model.tokens[at].text, None, &keys, nonce).await.unwrap();
            tx.commit().await.unwrap();
            let found = match rotated {
                Rotated::Good { successor, .. } => {
                    if let Some(known) = model.tokens.iter().position(|token| token.text == successor) {
                        Expected::Same(known)
                    } else {
                        let child = model.tokens.len();
                        model.tokens.push(Token { text: successor, used: None });
                        model.tokens[at].used = Some((now, child));
                        model.used_at = now;
                        Expected::New
                    }
                }
                Rotated::Invalid => Expected::Invalid,
                Rotated::Reused { .. } => {
                    model.revoked = true;
                    Expected::Reused
                }
            };
            assert_eq!(found, expected, "grant {seed}, use {step}, token {at} of {}", model.tokens.len());
            let kind = match expected {
                Expected::New => 0,
                Expected::Same(_) => 1,
                Expected::Invalid => 2,
                Expected::Reused => 3,
            };
            counts[kind] += 1;
        }
    }
    assert!(counts.iter().all(|count| *count > 5), "each outcome occurs: {counts:?}");
}
