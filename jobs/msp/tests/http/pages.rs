//! What all lists of a tenant have in common.

use axum::http::StatusCode;

use crate::support::TestApi;

#[tokio::test]
async fn each_list_pages_through_all_its_rows() {
    let api = TestApi::filled().await;
    for list in ["tickets", "time-entries", "csat", "security-alerts", "exports"] {
        let all = api.v1(&format!("/v1/{list}")).await.items();
        let (mut met, mut next) = (Vec::new(), Some(format!("/v1/{list}?limit=1")));
        while let Some(path) = next {
            let page = api.v1(&path).await;
            let items = page.items();
            assert_eq!(items.len(), 1, "{path}");
            met.extend(items);
            let url = page.ok(StatusCode::OK)["next"].as_str().map(str::to_owned);
            assert_eq!(page.header("link").is_some(), url.is_some());
            next = url.map(|url| url.strip_prefix("http://localhost").unwrap().to_owned());
        }
        assert!(all.len() > 1, "{list}");
        assert_eq!(met, all, "{list}");
    }
}
