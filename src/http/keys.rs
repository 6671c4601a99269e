//! API keys: `wg_`, a visible prefix by which a key is looked up, `_`, and 256 random bits. Only a hash is stored.

use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::http::auth::Tenant;

/// A key about to be given out.
#[derive(Debug)]
pub struct NewKey {
    /// The key itself, shown once.
    pub key: String,
    /// The part that stays visible.
    pub prefix: String,
    /// What is stored of the whole.
    pub hash: [u8; 32],
}

/// The key of these random bits. Its prefix comes from their hash, so that it tells nothing of them.
pub fn new_key(random: [u8; 32]) -> NewKey {
    let prefix = format!("wg_{}", hex::encode(&Sha256::digest(random)[..4]));
    let key = format!("{prefix}_{}", hex::encode(random));
    let hash = Sha256::digest(key.as_bytes()).into();
    NewKey { key, prefix, hash }
}

/// Stores a new key of `tenant` and returns it; it cannot be read again.
///
/// # Errors
/// When the database refuses: the tenant is unknown, or (once in 2³² keys) the prefix is taken.
pub async fn create(
    conn: &mut PgConnection,
    tenant: Uuid,
    name: &str,
    random: [u8; 32],
) -> sqlx::Result<String> {
    let NewKey { key, prefix, hash } = new_key(random);
    sqlx::query!(
        "insert into api_keys (tenant_id, id, prefix, key_hash, name, created_at)
         values ($1, $2, $3, $4, $5, queue.now())",
        tenant,
        Uuid::now_v7(),
        prefix,
        hash.as_slice(),
        name
    )
    .execute(conn)
    .await?;
    Ok(key)
}

/// Revokes the key of that prefix or id; `false` when no active key has it.
///
/// # Errors
/// When the database cannot answer.
pub async fn revoke(conn: &mut PgConnection, prefix_or_id: &str) -> sqlx::Result<bool> {
    let revoked = sqlx::query!(
        "update api_keys set is_active = false where (prefix = $1 or id = $2) and is_active",
        prefix_or_id,
        prefix_or_id.parse::<Uuid>().ok()
    )
    .execute(conn)
    .await?
    .rows_affected();
    Ok(revoked > 0)
}

/// Whom a key belongs to.
pub(crate) struct Holder {
    pub(crate) key: Uuid,
    pub(crate) tenant: Tenant,
}

/// The holder of `key`, when it is one and active.
pub(crate) async fn holder(pool: &PgPool, key: &str) -> sqlx::Result<Option<Holder>> {
    let Some(prefix) = prefix_of(key) else { return Ok(None) };
    let row = sqlx::query!(
        r#"select k.id, k.key_hash, k.tenant_id, t.slug,
            k.last_used_at is null or k.last_used_at < queue.now() - interval '1 minute' as "unseen!"
         from api_keys k join tenants t on t.id = k.tenant_id
         where k.prefix = $1 and k.is_active"#,
        prefix
    )
    .fetch_optional(pool)
    .await?;
    let hash = Sha256::digest(key.as_bytes());
    let Some(row) = row.filter(|row| hash.as_slice().ct_eq(&row.key_hash).into()) else { return Ok(None) };
    if row.unseen {
        sqlx::query!(
            "update api_keys set last_used_at = queue.now() where tenant_id = $1 and id = $2
             and (last_used_at is null or last_used_at < queue.now() - interval '1 minute')",
            row.tenant_id,
            row.id
        )
        .execute(pool)
        .await?;
    }
    Ok(Some(Holder { key: row.id, tenant: Tenant { id: row.tenant_id, slug: row.slug.into() } }))
}

fn prefix_of(key: &str) -> Option<&str> {
    let (prefix, secret) = key.rsplit_once('_')?;
    let well_formed = prefix.starts_with("wg_")
        && prefix.len() <= 32
        && secret.len() == 64
        && key.bytes().all(|byte| byte.is_ascii_graphic());
    well_formed.then_some(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_prefix() {
        let new = new_key([7; 32]);
        assert_eq!(prefix_of(&new.key), Some(new.prefix.as_str()));
        assert_eq!(new.key.len(), 3 + 8 + 1 + 64);
        assert!(!new.key[12..].contains(&new.prefix[3..]));
    }
}
