//! API keys: `wg_`, a visible prefix by which a key is looked up, `_`, and 256 random bits. Only a
//! hash is stored.

pub mod issuing;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::scopes::{KeyScopes, Scopes};

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

/// The key of these random bits. Its prefix comes from their hash, so that it tells nothing of
/// them.
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
    create_until(conn, tenant, name, random, None).await
}

/// The same for a key that is refused from `expires_at` on; `None` is a key that never expires.
///
/// # Errors
/// As [`create`].
pub async fn create_until(
    conn: &mut PgConnection,
    tenant: Uuid,
    name: &str,
    random: [u8; 32],
    expires_at: Option<DateTime<Utc>>,
) -> sqlx::Result<String> {
    store(conn, Uuid::now_v7(), tenant, name, random, None, expires_at).await
}

pub async fn store(
    conn: &mut PgConnection,
    id: Uuid,
    tenant: Uuid,
    name: &str,
    random: [u8; 32],
    scopes: Option<&KeyScopes>,
    expires_at: Option<DateTime<Utc>>,
) -> sqlx::Result<String> {
    let NewKey { key, prefix, hash } = new_key(random);
    sqlx::query!(
        "insert into identity.api_keys (tenant_id, id, prefix, key_hash, name, created_at, expires_at, scopes)
         values ($1, $2, $3, $4, $5, queue.now(), $6, $7)",
        tenant,
        id,
        prefix,
        hash.as_slice(),
        name,
        expires_at,
        scopes.map(KeyScopes::names)
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
        "update identity.api_keys set is_active = false where (prefix = $1 or id = $2) and is_active",
        prefix_or_id,
        prefix_or_id.parse::<Uuid>().ok()
    )
    .execute(conn)
    .await?;
    Ok(revoked.rows_affected() > 0)
}

/// The prefix of the live key of that prefix or id, of `tenant` alone where one is named.
pub async fn live_prefix(
    conn: &mut PgConnection,
    tenant: Option<Uuid>,
    prefix_or_id: &str,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        "select prefix from identity.api_keys
         where (prefix = $1 or id = $2) and ($3::uuid is null or tenant_id = $3) and is_active",
        prefix_or_id,
        prefix_or_id.parse::<Uuid>().ok(),
        tenant
    )
    .fetch_optional(conn)
    .await
}

/// A line of the list of keys.
#[derive(Debug)]
pub struct Listed {
    /// Permanent id.
    pub id: Uuid,
    /// Whose key it is.
    pub tenant_id: Uuid,
    /// Slug of the tenant.
    pub tenant: String,
    /// The part of the key that stays visible.
    pub prefix: String,
    /// What the key is for.
    pub name: String,
    /// Names of the scopes that it was given; none: it has the default ones.
    pub scopes: Option<Vec<String>>,
    /// Why it is refused, if it is: `revoked`, `expired`, `tenant_inactive`.
    pub refused: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// Last request with it, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// The keys of a tenant, or of all, by tenant and age.
///
/// # Errors
/// When the database cannot answer.
pub async fn list(conn: &mut PgConnection, tenant: Option<Uuid>) -> sqlx::Result<Vec<Listed>> {
    page(conn, tenant, None, ("", Uuid::nil()), i64::MAX).await
}

/// At most `limit` of them, after the key of that tenant (by slug) and id; or the one with the id
/// `key` alone.
pub async fn page(
    conn: &mut PgConnection,
    tenant: Option<Uuid>,
    key: Option<Uuid>,
    after: (&str, Uuid),
    limit: i64,
) -> sqlx::Result<Vec<Listed>> {
    // Ids are in the order in which they were made.
    sqlx::query_as!(
        Listed,
        "select k.id, k.tenant_id, t.slug as tenant, k.prefix, k.name, k.scopes, k.created_at, k.expires_at, k.last_used_at,
            case when not k.is_active then 'revoked' when k.expires_at <= queue.now() then 'expired'
                 when not t.is_active then 'tenant_inactive' end as refused
         from identity.api_keys k join identity.tenants t on t.id = k.tenant_id
         where ($1::uuid is null or k.tenant_id = $1) and (t.slug, k.id) > ($2::text, $3::uuid)
           and ($5::uuid is null or k.id = $5)
         order by t.slug, k.id limit $4",
        tenant,
        after.0,
        after.1,
        limit,
        key
    )
    .fetch_all(conn)
    .await
}

/// One of them.
pub async fn get(conn: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Listed>> {
    Ok(page(conn, Some(tenant), Some(id), ("", Uuid::nil()), 1).await?.pop())
}

/// Whether the tenant has a key of that prefix or id, good or not.
pub async fn exists(conn: &mut PgConnection, tenant: Uuid, prefix_or_id: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from identity.api_keys where tenant_id = $1 and (prefix = $2 or id = $3)) as "exists!""#,
        tenant,
        prefix_or_id,
        prefix_or_id.parse::<Uuid>().ok()
    )
    .fetch_one(conn)
    .await
}

/// SHA-256 of a whole key.
pub type Hash = [u8; 32];

/// A key as a caller presents it, of the right form.
#[derive(Debug, Clone)]
pub struct Presented {
    prefix: String,
    hash: Hash,
}

impl Presented {
    /// None where no key can look like that.
    pub fn of(key: &str) -> Option<Self> {
        let prefix = prefix_of(key)?.to_owned();
        Some(Self { prefix, hash: Sha256::digest(key.as_bytes()).into() })
    }

    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    pub fn hash(&self) -> &Hash {
        &self.hash
    }
}

/// A key that is stored.
pub struct Stored {
    id: Uuid,
    pub prefix: String,
    pub key_hash: Vec<u8>,
    tenant_id: Uuid,
    slug: String,
    scopes: Option<Vec<String>>,
    /// Whether its holder may use it now.
    is_usable: bool,
    is_unseen: bool,
}

/// What is known of a key that exists.
pub struct Found {
    /// None where it may not be used.
    pub holder: Option<Holder>,
}

/// Whom a key belongs to.
#[derive(Debug, Clone)]
pub struct Holder {
    pub key: Uuid,
    pub tenant: Uuid,
    pub slug: Arc<str>,
    /// What it may be used for.
    pub scopes: Scopes,
    /// Whether its last use was noted more than a minute ago.
    pub is_unseen: bool,
}

impl Stored {
    pub fn found(&self) -> Found {
        let (tenant, slug) = (self.tenant_id, self.slug.as_str().into());
        let scopes = Scopes::of_key(self.scopes.clone());
        let holder = Holder { key: self.id, tenant, slug, scopes, is_unseen: self.is_unseen };
        Found { holder: self.is_usable.then_some(holder) }
    }
}

/// How often keys were added.
pub async fn added(conn: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"select coalesce((select added from identity.api_key_changes), 0) as "added!""#)
        .fetch_one(conn)
        .await
}

/// The keys with these prefixes, each found by its index.
pub async fn stored(conn: &mut PgConnection, prefixes: &[String]) -> sqlx::Result<Vec<Stored>> {
    sqlx::query_as!(
        Stored,
        r#"select k.id, k.prefix, k.key_hash, k.tenant_id, t.slug, k.scopes,
             k.is_active and t.is_active and (k.expires_at is null or k.expires_at > queue.now()) as "is_usable!",
            k.last_used_at is null or k.last_used_at < queue.now() - interval '1 minute' as "is_unseen!"
         from unnest($1::text[]) as asked (prefix)
         cross join lateral (select * from identity.api_keys where prefix = asked.prefix offset 0) k
         cross join lateral (select slug, is_active from identity.tenants where id = k.tenant_id offset 0) t"#,
        prefixes
    )
    .fetch_all(conn)
    .await
}

/// Notes that keys are used now. One that somebody changes just now is left out, rather than waited
/// for.
pub async fn note_use(conn: &mut PgConnection, keys: &[Uuid]) -> sqlx::Result<()> {
    sqlx::query!(
        "update identity.api_keys set last_used_at = queue.now() where (tenant_id, id) in (
            select tenant_id, id from identity.api_keys
            where id = any($1) and (last_used_at is null or last_used_at < queue.now() - interval '1 minute')
            for update skip locked)",
        keys
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Which of these keys, each by its tenant and its id, are still good: not revoked, not expired,
/// and of an active tenant.
pub async fn still_good(pool: &PgPool, tenants: &[Uuid], ids: &[Uuid]) -> sqlx::Result<Vec<(Uuid, Uuid)>> {
    let rows = sqlx::query!(
        "select k.tenant_id, k.id from unnest($1::uuid[], $2::uuid[]) as asked (tenant_id, id)
         join identity.api_keys k on k.tenant_id = asked.tenant_id and k.id = asked.id
         join identity.tenants t on t.id = k.tenant_id
         where k.is_active and t.is_active and (k.expires_at is null or k.expires_at > queue.now())",
        tenants,
        ids
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.tenant_id, row.id)).collect())
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
