//! The shipped mock data is good, and has the number of rows it should have.

use futures_util::StreamExt as _;
use std::path::Path;
use weirgate_msp::sources::rows::{CsatSurvey, Row, SecurityAlert, Ticket, TimeEntry};
use weirgate_msp::sources::{MockSource, Source as _, parse};
use weirgate_test_support::MOCK_DATA;

async fn count<R: Row>(slug: &str) -> usize {
    let path = Path::new(MOCK_DATA).to_owned();
    let mut rows = MockSource { path }.rows(slug, R::DATASET);
    let mut count = 0;
    while let Some(row) = rows.next().await {
        let row = row.expect("readable");
        let text = row.json.expect("a text");
        parse::<R>(&text, slug, chrono_tz::Tz::UTC)
            .unwrap_or_else(|reason| panic!("{}:{}: {reason}", row.origin, row.line));
        count += 1;
    }
    count
}

#[tokio::test]
async fn all_rows_are_good() {
    for (slug, counts) in [("tenant_demo_cca", [5, 5, 3, 3]), ("tenant_demo_client2", [58, 69, 1, 1])] {
        let found = [
            count::<Ticket>(slug).await,
            count::<TimeEntry>(slug).await,
            count::<CsatSurvey>(slug).await,
            count::<SecurityAlert>(slug).await,
        ];
        assert_eq!(found, counts, "{slug}");
    }
}
