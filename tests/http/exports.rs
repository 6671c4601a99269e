//! A tenant's export files.

use axum::http::StatusCode;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{Answer, TestApi};

async fn exports() -> (TestApi, Vec<Value>) {
    let api = TestApi::new().await;
    api.fill().await;
    let exports = api.v1("/v1/exports").await.items();
    (api, exports)
}

async fn download(api: &TestApi, export: &Value) -> Answer {
    api.v1(&format!("/v1/exports/{}/download", export["id"].as_str().unwrap())).await
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
        let path = Path::from(format!("tenant_demo_cca/2026-01-20.{format}"));
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
    api.app.app.exports.delete(&Path::from("tenant_demo_cca/2026-01-20.json")).await.unwrap();
    download(&api, &exports[0]).await.problem(404, "unknown_export");
    assert_eq!(download(&api, &exports[1]).await.status, StatusCode::OK);
}
