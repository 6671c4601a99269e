//! A tenant's export files.

use axum::http::StatusCode;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde_json::Value;
use sha2::{Digest, Sha256};
use weirgate_msp::{ExportFormat, GenerateExport};
use weirgate_test_support::{Answer, id};

use crate::support::TestApi;

async fn exports() -> (TestApi, Vec<Value>) {
    let api = TestApi::filled().await;
    let exports = api.v1("/v1/exports").await.items();
    (api, exports)
}

async fn download(api: &TestApi, export: &Value) -> Answer {
    api.v1(&format!("/v1/exports/{}/download", export["id"].as_str().unwrap())).await
}

/// Where the file of an export lies.
async fn path(api: &TestApi, export: &Value) -> Path {
    let path: String = sqlx::query_scalar("select object_path from msp.exports where id = $1")
        .bind(id(&export["id"]))
        .fetch_one(&api.db().pool)
        .await
        .unwrap();
    Path::from(path)
}

async fn put(api: &TestApi, path: &Path, content: impl Into<Vec<u8>>) {
    api.app.app.exports.put(path, content.into().into()).await.unwrap();
}

#[tokio::test]
async fn exports_are_listed_and_shown() {
    let (api, exports) = exports().await;
    let formats: Vec<&str> = exports.iter().map(|export| export["format"].as_str().unwrap()).collect();
    assert_eq!(formats, ["json", "csv"]);
    for export in &exports {
        let id = export["id"].as_str().unwrap();
        assert_eq!(export["date"], "2026-01-20");
        assert_eq!(export["download_url"], format!("http://localhost/v1/exports/{id}/download"));
        assert!(export["created_at"].is_string() && export["job_id"].is_string());
        assert_eq!(&api.v1(&format!("/v1/exports/{id}")).await.ok(StatusCode::OK), export);
    }
}

#[tokio::test]
async fn a_download_is_the_stored_file_to_the_byte() {
    let (api, exports) = exports().await;
    for (export, media_type) in exports.iter().zip(["application/json", "text/csv; charset=utf-8"]) {
        let format = export["format"].as_str().unwrap();
        let path = path(&api, export).await;
        assert!(path.as_ref().starts_with(&format!("{}/", api.cca.id)), "{path}: by its id");
        let stored = api.app.app.exports.get(&path).await.unwrap().bytes().await.unwrap();
        let file = download(&api, export).await;
        assert_eq!((file.status, file.header("content-type")), (StatusCode::OK, Some(media_type)));
        assert_eq!(file.body, stored);
        assert_eq!(export["bytes"], stored.len());
        assert_eq!(export["sha256"], hex::encode(Sha256::digest(&stored)));
        assert_eq!(file.header("content-length"), Some(stored.len().to_string().as_str()));
        let name = format!("attachment; filename=\"tenant_demo_cca_2026-01-20.{format}\"");
        assert_eq!(file.header("content-disposition"), Some(name.as_str()));
    }
}

#[tokio::test]
async fn whoever_has_a_file_does_not_load_it_again() {
    let (api, exports) = exports().await;
    let etag = format!("\"{}\"", exports[0]["sha256"].as_str().unwrap());
    assert_eq!(download(&api, &exports[0]).await.header("etag"), Some(etag.as_str()));
    let path = format!("/v1/exports/{}/download", exports[0]["id"].as_str().unwrap());
    let with = |tag: &str| api.tenant(&api.cca, "GET", &path).header("if-none-match", tag).send();
    let same = with(&etag).await;
    assert_eq!((same.status, same.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(same.header("etag"), Some(etag.as_str()));
    assert_eq!(with("\"another\"").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_file_that_is_gone_is_a_404() {
    let (api, exports) = exports().await;
    api.app.app.exports.delete(&path(&api, &exports[0]).await).await.unwrap();
    download(&api, &exports[0]).await.problem(404, "unknown_export");
    assert_eq!(download(&api, &exports[1]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_file_that_is_not_what_was_exported_is_not_handed_out() {
    let (api, exports) = exports().await;
    let path = path(&api, &exports[0]).await;
    let mut same_size = api.app.app.exports.get(&path).await.unwrap().bytes().await.unwrap().to_vec();
    same_size[40] ^= 1;
    for content in [b"another tenant's".to_vec(), same_size, Vec::new()] {
        put(&api, &path, content).await;
        let problem = download(&api, &exports[0]).await.problem(410, "export_changed");
        assert!(!problem.to_string().contains(path.as_ref()), "{problem}");
    }
    assert_eq!(download(&api, &exports[1]).await.status, StatusCode::OK);
    // Exported anew, it is whole again.
    let date = "2026-01-20".parse().unwrap();
    let job = GenerateExport { tenant: api.cca.id.into(), date, format: ExportFormat::Json };
    api.app.run(&job).await.unwrap();
    assert_eq!(download(&api, &exports[0]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_large_file_is_sent_whole_and_in_pieces() {
    let (api, exports) = exports().await;
    let folder = tempfile::tempdir().unwrap();
    let store = object_store::local::LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    let large: Vec<u8> = (0..5_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let path = path(&api, &exports[0]).await;
    store.put(&path, large.clone().into()).await.unwrap();
    sqlx::query("update msp.exports set bytes = $2, sha256 = $3 where id = $1")
        .bind(id(&exports[0]["id"]))
        .bind(i64::try_from(large.len()).unwrap())
        .bind(hex::encode(Sha256::digest(&large)))
        .execute(&api.db().pool)
        .await
        .unwrap();
    let api = api.with_exports(std::sync::Arc::new(store));
    let file = download(&api, &exports[0]).await;
    assert_eq!(file.status, StatusCode::OK);
    assert!(file.body == large, "the same bytes");
}

#[tokio::test]
async fn a_file_under_a_slug_is_still_its_owners_and_nobody_elses() {
    let (api, exports) = exports().await;
    // As an earlier version has written it.
    let old = Path::from("tenant_demo_cca/2026-01-20.json");
    let content =
        api.app.app.exports.get(&path(&api, &exports[0]).await).await.unwrap().bytes().await.unwrap();
    put(&api, &old, content.clone()).await;
    sqlx::query("update msp.exports set object_path = $2 where id = $1")
        .bind(id(&exports[0]["id"]))
        .bind(old.as_ref())
        .execute(&api.db().pool)
        .await
        .unwrap();
    assert_eq!(download(&api, &exports[0]).await.body, content);
    // Then another tenant got the slug, and the same place for its file.
    put(&api, &old, "{\"tenant\":\"tenant_demo_cca\",\"of\":\"somebody else\"}").await;
    let refused = download(&api, &exports[0]).await;
    refused.problem(410, "export_changed");
    assert!(!refused.text().contains("somebody"));
    let date = "2026-01-20".parse().unwrap();
    let job = GenerateExport { tenant: api.cca.id.into(), date, format: ExportFormat::Json };
    api.app.run(&job).await.unwrap();
    assert_eq!(download(&api, &exports[0]).await.status, StatusCode::OK);
    assert!(api.app.app.exports.get(&old).await.is_ok(), "what may be another tenant's stays");
}
