//! Of two readings of a row the newer one stays, in whichever order they are written.

use serde_json::{Value, json};
use weirgate_msp::{IngestSecurityAlerts, IngestTickets, IngestTimeEntries};
use weirgate_test_support::tenant;

use crate::support::new_app;

fn ticket(status: &str, updated: &str) -> String {
    json!({ "cw_ticket_id": "T", "status": status, "priority": "Low", "created_at_remote": "2026-01-20T09:00:00Z",
        "updated_at_remote": updated })
    .to_string()
}

fn alert(status: &str, updated: Option<&str>) -> String {
    json!({ "source": "defender", "alert_id": "A", "severity": "high", "status": status,
        "detected_at": "2026-01-20T09:00:00Z", "updated_at_remote": updated })
    .to_string()
}

fn entry(minutes: i64) -> String {
    let entry: Value = json!({ "cw_time_entry_id": "E", "cw_ticket_id": "T", "billable": true, "minutes": minutes,
        "date_worked": "2026-01-20" });
    entry.to_string()
}

const EARLY: &str = "2026-01-20T10:00:00Z";
const LATE: &str = "2026-01-20T11:00:00Z";

#[tokio::test]
async fn what_the_source_changed_later_stays() {
    let app = new_app().await;
    tenant(&app.db.pool, "acme", "UTC").await;
    let status = async |lines: &[String]| -> String {
        app.write("acme/tickets.jsonl", lines.join("\n"));
        app.run(&IngestTickets { tenant: "acme".into() }).await.unwrap();
        sqlx::query_scalar("select status from msp.raw_tickets").fetch_one(&app.db.pool).await.unwrap()
    };
    let within = [ticket("New", LATE), ticket("Waiting", EARLY)];
    assert_eq!(status(&within).await, "New", "a ticket that moves between pages is met twice");
    assert_eq!(status(&[ticket("Waiting", EARLY)]).await, "New", "an older state of the source");
    assert_eq!(status(&[ticket("Done", LATE)]).await, "Done", "one of the same second");
    assert_eq!(status(&[ticket("Closed", "2026-01-20T11:00:01Z")]).await, "Closed");
}

#[tokio::test]
async fn alerts_that_tell_their_change_are_compared_by_it() {
    let app = new_app().await;
    tenant(&app.db.pool, "acme", "UTC").await;
    let status = async |line: String| -> String {
        app.write("acme/security_alerts.jsonl", line);
        app.run(&IngestSecurityAlerts { tenant: "acme".into() }).await.unwrap();
        sqlx::query_scalar("select status from msp.raw_security_alerts")
            .fetch_one(&app.db.pool)
            .await
            .unwrap()
    };
    assert_eq!(status(alert("resolved", Some(LATE))).await, "resolved");
    assert_eq!(status(alert("new", Some(EARLY))).await, "resolved");
    assert_eq!(
        status(alert("reopened", None)).await,
        "reopened",
        "of one that does not tell, the later reading"
    );
}

#[tokio::test]
async fn where_the_source_tells_no_change_the_reading_that_began_later_stays() {
    let app = new_app().await;
    tenant(&app.db.pool, "acme", "UTC").await;
    let minutes = async |of_file: i64| -> i32 {
        app.write("acme/time_entries.jsonl", entry(of_file));
        app.run(&IngestTimeEntries { tenant: "acme".into() }).await.unwrap();
        sqlx::query_scalar("select minutes from msp.raw_time_entries").fetch_one(&app.db.pool).await.unwrap()
    };
    assert_eq!(minutes(1).await, 1);
    // One that began after those to come has already written.
    sqlx::query("update msp.raw_time_entries set minutes = 5, read_at = queue.now() + interval '1 hour'")
        .execute(&app.db.pool)
        .await
        .unwrap();
    assert_eq!(minutes(2).await, 5);
    app.db.travel(std::time::Duration::from_hours(2)).await;
    assert_eq!(minutes(3).await, 3);
}
