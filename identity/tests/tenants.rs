//! A tenant is its id, whatever else is called as it is.

use sqlx::PgPool;
use uuid::Uuid;
use weirgate_identity::Tenant;
use weirgate_test_support::{IDENTITY, TestDb, tenant};

async fn slug_of(pool: &PgPool, id: Uuid) -> String {
    sqlx::query_scalar("select slug from identity.tenants where id = $1")
        .bind(id)
        .fetch_one(pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_slug_never_changes() {
    let db = TestDb::of(&IDENTITY).await;
    let acme = tenant(&db.pool, "acme", "UTC").await;
    for change in [
        "update identity.tenants set slug = 'bolt'",
        "update identity.tenants set slug = upper(slug)",
        "update identity.tenants set id = gen_random_uuid()",
    ] {
        let error = sqlx::query(change).execute(&db.pool).await.unwrap_err();
        let error = error.as_database_error().unwrap();
        assert_eq!(error.constraint(), Some("tenants_identity"), "{change}: {error}");
        assert!(error.message().contains("never change"), "{error}");
    }
    sqlx::query("update identity.tenants set slug = slug, name = 'Acme Corporation', is_active = false")
        .execute(&db.pool)
        .await
        .unwrap();
    assert_eq!(slug_of(&db.pool, acme.id).await, "acme");
}

#[tokio::test]
async fn no_slug_is_taken_for_an_id() {
    let db = TestDb::of(&IDENTITY).await;
    let acme = tenant(&db.pool, "acme", "UTC").await;
    let (id, plain) = (acme.id.to_string(), acme.id.simple().to_string());
    for slug in [&id, &id.to_uppercase(), &plain] {
        let made =
            sqlx::query("insert into identity.tenants (id, slug, name) values (gen_random_uuid(), $1, 'x')");
        let error = made.bind(slug).execute(&db.pool).await.unwrap_err();
        let error = error.as_database_error().unwrap();
        assert_eq!(error.constraint(), Some("tenants_slug_is_no_id"), "{slug}: {error}");
    }
    let found = Tenant::find(&mut db.pool.acquire().await.unwrap(), &id).await.unwrap().unwrap();
    assert_eq!(found.id, acme.id);
}

#[tokio::test]
async fn the_database_knows_iana_names_alone() {
    let db = TestDb::of(&IDENTITY).await;
    let pool = &db.pool;
    tenant(pool, "acme", "Europe/Paris").await;
    tenant(pool, "bolt", "UTC").await;
    for zone in
        ["europe/berlin", "utc", "UTC+3", "MSK", "CEST-2", "posix/Europe/Berlin", "localtime", "Nowhere", ""]
    {
        for sql in [
            "update identity.tenants set time_zone = $1 where slug = 'acme'",
            "update identity.tenants set time_zone = case slug when 'bolt' then $1 else time_zone end",
            "insert into identity.tenants (id, slug, name, time_zone) values
                (gen_random_uuid(), 'clay', 'c', 'Asia/Tokyo'), (gen_random_uuid(), 'dune', 'd', $1)",
        ] {
            let error = sqlx::query(sql).bind(zone).execute(pool).await.unwrap_err();
            let error = error.as_database_error().unwrap();
            assert_eq!(error.constraint(), Some("tenants_time_zone_is_known"), "{zone}: {error}");
            let tenant = ["acme", "bolt", "dune"].into_iter().find(|slug| error.message().contains(slug));
            assert!(tenant.is_some() && error.message().contains("time_zone"), "{error}");
        }
    }
    for zone in ["Asia/Kolkata", "Etc/GMT+3", "UTC", "America/Argentina/Buenos_Aires"] {
        sqlx::query("update identity.tenants set time_zone = $1").bind(zone).execute(pool).await.unwrap();
    }
}
