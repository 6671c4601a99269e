//! Ingests: good rows are taken, bad ones are set aside with file, line and reason, and nothing
//! else is lost.

use serde_json::json;
use weirgate_msp::{IngestCsat, IngestSecurityAlerts, IngestTickets, IngestTimeEntries, Ingested};
use weirgate_queue::JobError;
use weirgate_test_support::tenant;

use crate::support::{TestApp, new_app};

fn ticket(id: &str) -> String {
    json!({
        "tenant_id": "acme", "cw_ticket_id": id, "status": "New", "priority": "Low", "summary": "s",
        "created_at_remote": "2026-01-20T09:00:00Z", "updated_at_remote": "2026-01-20T09:00:00Z",
    })
    .to_string()
}

fn entry(id: &str, minutes: i64) -> String {
    json!({"cw_time_entry_id": id, "cw_ticket_id": "T-1", "billable": true, "minutes": minutes, "date_worked": "2026-01-20"})
        .to_string()
}

async fn rejects(app: &TestApp) -> Vec<(String, i64, String)> {
    sqlx::query_as("select origin, line, reason from msp.ingest_rejects order by origin, line")
        .fetch_all(&app.db.pool)
        .await
        .unwrap()
}

async fn count(app: &TestApp, table: &str) -> i64 {
    let sql = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
    sqlx::query_scalar(sql).fetch_one(&app.db.pool).await.unwrap()
}

#[tokio::test]
async fn every_kind_of_bad_row_is_set_aside_and_nothing_else_is_lost() {
    let app = new_app().await;
    tenant(&app.db.pool, "acme", "UTC").await;
    let bad = [
        ("not json", "JSON"),
        (
            r#"{"cw_time_entry_id":7,"cw_ticket_id":"T","billable":true,"minutes":1,"date_worked":"2026-01-20"}"#,
            "cw_time_entry_id",
        ),
        (&entry("N", -5), "minutes"),
        (
            r#"{"cw_time_entry_id":"D","cw_ticket_id":"T","billable":true,"minutes":1,"date_worked":"2026-02-30"}"#,
            "date_worked",
        ),
        (
            r#"{"tenant_id":"other","cw_time_entry_id":"O","cw_ticket_id":"T","billable":true,"minutes":1,"date_worked":"2026-01-20"}"#,
            "tenant_id",
        ),
    ];
    let mut lines = vec![entry("first", 1)];
    for (i, (line, _)) in bad.iter().enumerate() {
        lines.push((*line).to_owned());
        lines.push(entry(&format!("good-{i}"), 2));
    }
    app.write("acme/time_entries.jsonl", lines.join("\n"));
    let ingested = app.run(&IngestTimeEntries { tenant: "acme".into() }).await.unwrap();
    assert_eq!(ingested, Ingested { read: 11, accepted: 6, rejected: 5 });
    assert_eq!(count(&app, "msp.raw_time_entries").await, 6);
    let rejects = rejects(&app).await;
    assert_eq!(rejects.len(), bad.len());
    for ((i, (_, reason)), (origin, line, why)) in bad.iter().enumerate().zip(&rejects) {
        assert_eq!((origin.as_str(), *line), ("acme/time_entries.jsonl", i64::try_from(i).unwrap() * 2 + 2));
        assert!(why.contains(reason), "{why} does not name {reason}");
    }
}

#[tokio::test]
async fn both_layouts_are_read_and_the_lines_win() {
    let app = new_app().await;
    tenant(&app.db.pool, "acme", "UTC").await;
    let array = format!("[\n{},\n {{\"cw_ticket_id\": nope}},\n{}\n]", ticket("T-1"), ticket("T-2"));
    app.write("tickets/acme.json", array);
    let ingested = app.run(&IngestTickets { tenant: "acme".into() }).await.unwrap();
    assert_eq!(ingested, Ingested { read: 3, accepted: 2, rejected: 1 });
    assert_eq!(rejects(&app).await[0].1, 3, "the line on which the bad element begins");
    app.write("acme/tickets.jsonl", ticket("T-3"));
    assert_eq!(app.run(&IngestTickets { tenant: "acme".into() }).await.unwrap().read, 1);
    assert_eq!(count(&app, "msp.raw_tickets").await, 3);
}

#[tokio::test]
async fn a_missing_file_is_an_empty_source_and_an_unreadable_one_a_retry() {
    let app = new_app().await;
    tenant(&app.db.pool, "acme", "UTC").await;
    std::fs::create_dir(app.folder.path().join("acme")).unwrap();
    assert_eq!(app.run(&IngestCsat { tenant: "acme".into() }).await.unwrap(), Ingested::default());
    std::fs::create_dir_all(app.folder.path().join("acme/csat.jsonl")).unwrap();
    let error = app.run(&IngestCsat { tenant: "acme".into() }).await.unwrap_err();
    assert!(matches!(error, JobError::Failed { code: "source_unreadable", .. }), "{error:?}");
}

#[tokio::test]
async fn a_folder_without_anything_of_the_tenant_is_no_empty_source() {
    let app = new_app().await;
    for slug in ["acme", "other"] {
        tenant(&app.db.pool, slug, "UTC").await;
    }
    app.write("other/tickets.jsonl", ticket("T-1"));
    let error = app.run(&IngestTickets { tenant: "acme".into() }).await.unwrap_err();
    let JobError::Failed { code: "source_unreadable", source, .. } = error else { panic!("{error:?}") };
    assert!(source.to_string().contains("tickets/acme.json"), "{source}");
}

#[tokio::test]
async fn noise_is_no_empty_source() {
    let app = new_app().await;
    tenant(&app.db.pool, "acme", "UTC").await;
    // Bytes of every kind, without and with line ends; another format; UTF-16 without its mark;
    // rows of something else.
    let noise: Vec<u8> = (0..200_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let unmarked: Vec<u8> = ticket("T-1").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let no_line: Vec<u8> = noise.iter().copied().filter(|byte| *byte != b'\n').collect();
    let files: [(&str, &[u8]); 6] = [
        ("acme/tickets.jsonl", &noise),
        ("acme/tickets.jsonl", &no_line),
        ("acme/tickets.jsonl", b"<html>\n<body>502</body>\n</html>\n"),
        ("acme/tickets.jsonl", &unmarked),
        ("acme/tickets.jsonl", b"{\"id\": 1}\n{\"id\": 2}\n"),
        ("tickets/acme.json", &noise),
    ];
    for (path, content) in files {
        let _ = std::fs::remove_file(app.folder.path().join("acme/tickets.jsonl"));
        app.write(path, content);
        let error = app.run(&IngestTickets { tenant: "acme".into() }).await.unwrap_err();
        let JobError::Discard { code: "all_rows_rejected", message } = error else {
            panic!("{path}: {error:?}")
        };
        assert!(message.starts_with(path) && message.contains("1: "), "{message}");
        assert!(count(&app, "msp.ingest_rejects").await > 0, "{path}");
    }
    assert_eq!(count(&app, "msp.raw_tickets").await, 0);
}

#[tokio::test]
async fn utf16_with_a_byte_order_mark_is_read() {
    let app = new_app().await;
    tenant(&app.db.pool, "acme", "UTC").await;
    let text = format!("\u{FEFF}{}\r\n{}\r\n", ticket("T-é"), ticket("T-😀"));
    for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
        app.write("acme/tickets.jsonl", text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>());
        let ingested = app.run(&IngestTickets { tenant: "acme".into() }).await.unwrap();
        assert_eq!(ingested, Ingested { read: 2, accepted: 2, rejected: 0 });
    }
    let ids: Vec<String> = sqlx::query_scalar("select cw_ticket_id from msp.raw_tickets order by 1")
        .fetch_all(&app.db.pool)
        .await
        .unwrap();
    assert_eq!(ids, ["T-é", "T-😀"]);
}

#[tokio::test]
async fn an_unknown_tenant_is_discarded() {
    let app = new_app().await;
    let error = app.run(&IngestTickets { tenant: "nobody".into() }).await.unwrap_err();
    assert!(matches!(error, JobError::Discard { code: "unknown_tenant", .. }), "{error:?}");
}

#[tokio::test]
async fn the_last_of_two_equal_keys_wins_within_a_file_and_across_runs() {
    let app = new_app().await;
    tenant(&app.db.pool, "acme", "UTC").await;
    app.write("acme/time_entries.jsonl", [entry("E", 1), entry("E", 2)].join("\n"));
    app.run(&IngestTimeEntries { tenant: "acme".into() }).await.unwrap();
    let minutes = async || -> i32 {
        sqlx::query_scalar("select minutes from msp.raw_time_entries").fetch_one(&app.db.pool).await.unwrap()
    };
    assert_eq!(minutes().await, 2);
    app.write("acme/time_entries.jsonl", entry("E", 3));
    app.run(&IngestTimeEntries { tenant: "acme".into() }).await.unwrap();
    assert_eq!(minutes().await, 3);
}

#[tokio::test]
async fn an_unchanged_row_is_not_written_again() {
    let app = new_app().await;
    tenant(&app.db.pool, "acme", "UTC").await;
    app.write("acme/tickets.jsonl", ticket("T-1"));
    let version = async || -> String {
        app.run(&IngestTickets { tenant: "acme".into() }).await.unwrap();
        sqlx::query_scalar("select xmin::text from msp.raw_tickets").fetch_one(&app.db.pool).await.unwrap()
    };
    assert_eq!(version().await, version().await);
}

#[tokio::test]
async fn thousands_of_rows_go_through_in_batches() {
    let app = new_app().await;
    tenant(&app.db.pool, "acme", "UTC").await;
    let lines: Vec<String> =
        (0..3500).map(|i| if i % 7 == 0 { "{".to_owned() } else { ticket(&format!("T-{i}")) }).collect();
    app.write("acme/tickets.jsonl", lines.join("\r\n"));
    let ingested = app.run(&IngestTickets { tenant: "acme".into() }).await.unwrap();
    assert_eq!(ingested, Ingested { read: 3500, accepted: 3000, rejected: 500 });
    assert_eq!(count(&app, "msp.raw_tickets").await, 3000);
    assert_eq!(count(&app, "msp.ingest_rejects").await, 500);
}

#[tokio::test]
async fn alerts_of_two_products_may_share_an_id() {
    let app = new_app().await;
    tenant(&app.db.pool, "acme", "UTC").await;
    let alert = |source: &str| json!({"source": source, "alert_id": "A-1", "severity": "high", "title": "t", "status": "new", "detected_at": "2026-01-20T00:00:00Z"});
    app.write("security_alerts/acme.json", json!([alert("sentinelone"), alert("defender")]).to_string());
    app.run(&IngestSecurityAlerts { tenant: "acme".into() }).await.unwrap();
    assert_eq!(count(&app, "msp.raw_security_alerts").await, 2);
}
