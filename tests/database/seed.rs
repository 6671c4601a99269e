//! The tenants of a folder are made and changed.

use std::path::Path;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;
use uuid::Uuid;
use weirgate::seed::seed;
use weirgate_test_support::MOCK_DATA;

use crate::support::database;

#[tokio::test]
async fn seeding_changes_a_name_and_refuses_another_slug() {
    let (db, folder) = (database().await, tempfile::tempdir().unwrap());
    let id = Uuid::now_v7();
    let write = |slug: &str, name: &str| {
        let file = json!([{"id": id, "slug": slug, "name": name, "is_active": true, "llm_enabled": false, "time_zone": "UTC"}]);
        std::fs::write(folder.path().join("tenants.json"), file.to_string()).unwrap();
    };
    let seeded = async || seed(&db.pool, folder.path(), false, &mut StdRng::seed_from_u64(1)).await;
    write("acme", "Acme");
    seeded().await.unwrap();
    write("acme", "Acme Corporation");
    seeded().await.unwrap();
    write("bolt", "Bolt");
    let error = format!("{:#}", seeded().await.unwrap_err());
    assert!(error.contains("\"acme\"") && error.contains("never changes"), "{error}");
    let (slug, name): (String, String) =
        sqlx::query_as("select slug, name from identity.tenants where id = $1")
            .bind(id)
            .fetch_one(&db.pool)
            .await
            .unwrap();
    assert_eq!((slug.as_str(), name.as_str()), ("acme", "Acme Corporation"));
}

#[tokio::test]
async fn tenants_are_not_read_through_a_link_out_of_the_folder() {
    let (db, folder) = (database().await, tempfile::tempdir().unwrap());
    let outside = tempfile::tempdir().unwrap();
    let tenants = Path::new(MOCK_DATA).join("tenants.json");
    std::fs::copy(tenants, outside.path().join("tenants.json")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("tenants.json"), folder.path().join("tenants.json"))
        .unwrap();
    let mut rng = StdRng::seed_from_u64(1);
    let error = format!("{:#}", seed(&db.pool, folder.path(), false, &mut rng).await.unwrap_err());
    assert!(error.contains("tenants.json") && error.contains("not followed"), "{error}");
    let made: i64 =
        sqlx::query_scalar("select count(*) from identity.tenants").fetch_one(&db.pool).await.unwrap();
    assert_eq!(made, 0);
}
