//! Tenants and their keys.

use sqlx::PgPool;
use uuid::Uuid;
use weirgate_identity::Tenant;
use weirgate_identity::audit::Actor;
use weirgate_identity::keys::issuing;

/// Makes a tenant.
pub async fn tenant(pool: &PgPool, slug: &str, time_zone: &str) -> Tenant {
    sqlx::query("insert into identity.tenants (id, slug, name, time_zone) values ($1, $2, $2, $3)")
        .bind(Uuid::now_v7())
        .bind(slug)
        .bind(time_zone)
        .execute(pool)
        .await
        .unwrap();
    Tenant::find(&mut pool.acquire().await.unwrap(), slug).await.unwrap().unwrap()
}

/// Gives the tenant an API key.
pub async fn api_key(pool: &PgPool, tenant: &Tenant) -> String {
    let mut random = [0; 32];
    random[..16].copy_from_slice(Uuid::now_v7().as_bytes());
    random[16..].copy_from_slice(tenant.id.as_bytes());
    let new = issuing::New {
        id: Uuid::now_v7(),
        tenant: tenant.id,
        slug: &tenant.slug.0,
        name: "test",
        scopes: None,
        expires_at: None,
        random,
    };
    let mut tx = pool.begin().await.unwrap();
    let key = issuing::issue(&mut tx, &Actor::cli(), new).await.unwrap();
    tx.commit().await.unwrap();
    key
}
