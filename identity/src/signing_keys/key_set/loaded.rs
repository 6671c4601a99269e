//! What was read of the keys at one time.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::time::Instant;

use super::super::{jwk, pair, place};
use super::Signer;
use crate::secret_keys::{SealingError, SecretKeys};

/// The keys whose tokens are good.
pub(super) struct Loaded {
    /// When this process began to read.
    pub(super) began: Instant,
    /// The database's time, once it answered.
    at: DateTime<Utc>,
    keys: HashMap<String, Key>,
}

struct Key {
    public: [u8; 32],
    /// `None` in a key that signs no longer.
    private: Option<Result<[u8; 32], SealingError>>,
    not_before: DateTime<Utc>,
    signs_until: DateTime<Utc>,
    verifies_until: DateTime<Utc>,
}

impl Loaded {
    /// The database's time.
    fn now(&self) -> DateTime<Utc> {
        self.at + TimeDelta::from_std(self.began.elapsed()).unwrap_or(TimeDelta::MAX)
    }

    /// Whether there is a key of that name, good or not.
    pub(super) fn knows(&self, kid: &str) -> bool {
        self.keys.contains_key(kid)
    }

    pub(super) fn verifier(&self, kid: &str) -> Option<DecodingKey> {
        let now = self.now();
        let key = self.keys.get(kid).filter(|key| now < key.verifies_until)?;
        // Whoever verifies takes the key's 32 bytes: see `access_token::ed25519`.
        Some(DecodingKey::from_ed_der(&key.public))
    }

    /// Of the keys that sign now and open, the youngest.
    ///
    /// # Errors
    /// When there are some, and none opens.
    pub(super) fn signer(&self) -> Result<Option<Signer>, SealingError> {
        let now = self.now();
        let mut signing: Vec<_> = self
            .keys
            .iter()
            .filter(|(_, key)| key.not_before <= now && now < key.signs_until)
            .filter_map(|(kid, key)| Some((key.not_before, kid, key.private.as_ref()?)))
            .collect();
        signing.sort_by_key(|(not_before, kid, _)| (*not_before, *kid));
        let mut closed = None;
        for (_, kid, private) in signing.into_iter().rev() {
            match private {
                Ok(private) => {
                    // As in `verifier`.
                    let key = EncodingKey::from_ed_der(private);
                    return Ok(Some(Signer { kid: kid.clone(), key }));
                }
                Err(error) => closed = closed.or_else(|| Some(error.clone())),
            }
        }
        closed.map_or(Ok(None), Err)
    }

    pub(super) fn jwks(&self) -> Value {
        let now = self.now();
        let mut keys: Vec<_> = self.keys.values().filter(|key| now < key.verifies_until).collect();
        keys.sort_by_key(|key| (key.not_before, key.public));
        json!({ "keys": keys.iter().map(|key| jwk(&key.public)).collect::<Vec<_>>() })
    }
}

pub(super) async fn read(pool: &PgPool, secrets: &SecretKeys, began: Instant) -> sqlx::Result<Loaded> {
    let rows = sqlx::query!(
        r#"select kid as "kid?", public_jwk ->> 'x' as x, private_sealed, not_before as "not_before?",
             signs_until as "signs_until?", verifies_until as "verifies_until?", clock.now as "now!"
         from (select queue.now() as now) clock
         left join identity.signing_keys k on k.revoked_at is null and k.verifies_until > clock.now"#
    )
    .fetch_all(pool)
    .await?;
    let at = rows.first().map(|row| row.now).ok_or(sqlx::Error::RowNotFound)?;
    let mut keys = HashMap::new();
    for row in rows {
        let (Some(kid), Some(x), Some(not_before), Some(signs_until), Some(verifies_until)) =
            (row.kid, row.x, row.not_before, row.signs_until, row.verifies_until)
        else {
            continue;
        };
        // A name that is not the key's own was not written by this program.
        let Some(public) = pair::public(&x).filter(|public| pair::thumbprint(public) == kid) else {
            tracing::error!(kid, "the public half of a signing key is damaged; its tokens are refused");
            continue;
        };
        let private = row.private_sealed.map(|sealed| private_half(secrets, &kid, &sealed));
        keys.insert(kid, Key { public, private, not_before, signs_until, verifies_until });
    }
    Ok(Loaded { began, at, keys })
}

fn private_half(secrets: &SecretKeys, kid: &str, sealed: &[u8]) -> Result<[u8; 32], SealingError> {
    let place = place(kid);
    secrets.open(&place, sealed)?.try_into().map_err(|_| SealingError::Damaged(place))
}
