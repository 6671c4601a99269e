//! A tenant is its id, whatever else is called as it is.

use std::path::Path;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;
use weirgate::seed::seed;
use weirgate_identity::Tenant;
use weirgate_msp::{ComputeKpi, ExportFormat, GenerateExport, IngestTickets};
use weirgate_queue::{JobState, NewJob};

use crate::support::{TestApp, TestWorker, tenant};

async fn slug_of(pool: &PgPool, id: Uuid) -> String {
    sqlx::query_scalar("select slug from identity.tenants where id = $1")
        .bind(id)
        .fetch_one(pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_slug_never_changes() {
    let app = TestApp::new().await;
    let acme = tenant(&app.db.pool, "acme", "UTC").await;
    for change in [
        "update identity.tenants set slug = 'bolt'",
        "update identity.tenants set slug = upper(slug)",
        "update identity.tenants set id = gen_random_uuid()",
    ] {
        let error = sqlx::query(change).execute(&app.db.pool).await.unwrap_err();
        let error = error.as_database_error().unwrap();
        assert_eq!(error.constraint(), Some("tenants_identity"), "{change}: {error}");
        assert!(error.message().contains("never change"), "{error}");
    }
    sqlx::query("update identity.tenants set slug = slug, name = 'Acme Corporation', is_active = false")
        .execute(&app.db.pool)
        .await
        .unwrap();
    assert_eq!(slug_of(&app.db.pool, acme.id).await, "acme");
}

#[tokio::test]
async fn no_slug_is_taken_for_an_id() {
    let app = TestApp::new().await;
    let acme = tenant(&app.db.pool, "acme", "UTC").await;
    let (id, plain) = (acme.id.to_string(), acme.id.simple().to_string());
    for slug in [&id, &id.to_uppercase(), &plain] {
        let made =
            sqlx::query("insert into identity.tenants (id, slug, name) values (gen_random_uuid(), $1, 'x')");
        let error = made.bind(slug).execute(&app.db.pool).await.unwrap_err();
        let error = error.as_database_error().unwrap();
        assert_eq!(error.constraint(), Some("tenants_slug_is_no_id"), "{slug}: {error}");
    }
    let found = Tenant::find(&mut app.db.pool.acquire().await.unwrap(), &id).await.unwrap().unwrap();
    assert_eq!(found.id, acme.id);
}

#[tokio::test]
async fn seeding_changes_a_name_and_refuses_another_slug() {
    let app = TestApp::new().await;
    let id = Uuid::now_v7();
    let write = |slug: &str, name: &str| {
        let file = json!([{"id": id, "slug": slug, "name": name, "is_active": true, "llm_enabled": false, "time_zone": "UTC"}]);
        app.write("tenants.json", file.to_string());
    };
    let seeded = async || seed(&app.db.pool, app.folder.path(), false, &mut StdRng::seed_from_u64(1)).await;
    write("acme", "Acme");
    seeded().await.unwrap();
    write("acme", "Acme Corporation");
    seeded().await.unwrap();
    write("bolt", "Bolt");
    let error = format!("{:#}", seeded().await.unwrap_err());
    assert!(error.contains("\"acme\"") && error.contains("never changes"), "{error}");
    let name: String =
        sqlx::query_scalar("select name from identity.tenants").fetch_one(&app.db.pool).await.unwrap();
    assert_eq!((slug_of(&app.db.pool, id).await.as_str(), name.as_str()), ("acme", "Acme Corporation"));
}

#[cfg(unix)]
#[tokio::test]
async fn tenants_are_not_read_through_a_link_out_of_the_folder() {
    let app = TestApp::new().await;
    let outside = tempfile::tempdir().unwrap();
    let tenants = Path::new(crate::support::MOCK_DATA).join("tenants.json");
    std::fs::copy(tenants, outside.path().join("tenants.json")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("tenants.json"), app.folder.path().join("tenants.json"))
        .unwrap();
    let mut rng = StdRng::seed_from_u64(1);
    let error = format!("{:#}", seed(&app.db.pool, app.folder.path(), false, &mut rng).await.unwrap_err());
    assert!(error.contains("tenants.json") && error.contains("not followed"), "{error}");
    let made: i64 =
        sqlx::query_scalar("select count(*) from identity.tenants").fetch_one(&app.db.pool).await.unwrap();
    assert_eq!(made, 0);
}

#[tokio::test]
async fn jobs_of_earlier_versions_that_name_a_slug_run_for_their_own_tenant() {
    let app = TestApp::new().await;
    let (acme, bolt) = (tenant(&app.db.pool, "acme", "UTC").await, tenant(&app.db.pool, "bolt", "UTC").await);
    let ticket = r#"{"cw_ticket_id":"T-1","status":"New","priority":"Low","created_at_remote":"2026-01-20T09:00:00Z","updated_at_remote":"2026-01-20T09:00:00Z"}"#;
    app.write("acme/tickets.jsonl", ticket);
    std::fs::create_dir(app.folder.path().join("bolt")).unwrap();
    let date = "2026-01-20".parse().unwrap();
    let mut jobs = Vec::new();
    // The last ones were enqueued for a tenant that was called as another one is now.
    for (owner, slug) in [(&acme, "acme"), (&bolt, "bolt"), (&bolt, "acme")] {
        let export = GenerateExport { tenant: slug.into(), date, format: ExportFormat::Json };
        for job in [
            NewJob::of(owner.id, &IngestTickets { tenant: slug.into() }),
            NewJob::of(owner.id, &ComputeKpi { tenant: slug.into(), date }),
            NewJob::of(owner.id, &export),
        ] {
            jobs.push(app.db.enqueue_new(job.unwrap()).await.id);
        }
    }
    let worker = TestWorker::start_jobs(&app.db, weirgate_msp::registry(app.app.clone()).into(), |_| {});
    for job in jobs {
        app.db.until(job, JobState::Completed).await;
    }
    worker.stop().await;
    let owners: Vec<Uuid> =
        sqlx::query_scalar("select tenant_id from msp.raw_tickets").fetch_all(&app.db.pool).await.unwrap();
    assert_eq!(owners, [acme.id]);
    let paths: Vec<(Uuid, String)> = sqlx::query_as("select tenant_id, object_path from msp.exports")
        .fetch_all(&app.db.pool)
        .await
        .unwrap();
    assert_eq!(paths.len(), 2);
    assert!(paths.iter().all(|(owner, path)| path.starts_with(&format!("{owner}/"))), "{paths:?}");
}

#[tokio::test]
async fn the_database_knows_iana_names_alone() {
    let app = TestApp::new().await;
    let pool = &app.db.pool;
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
