//! `weirgate rejects`, on what a real ingest has found.

use serde_json::Value;

use super::cli::Cli;
use crate::support::Process;

#[tokio::test]
async fn rejected_rows_are_listed_with_their_tenants_slug_by_filter_and_as_json() {
    let cli = Cli::new().await;
    let data = cli.home.path().join("generated");
    let data = data.to_str().unwrap();
    cli.ok(&["mock-data", "--out", data, "--tenants", "2", "--tickets", "20", "--bad-rows", "3"]).await;
    let with_data = |args: &[&str]| {
        let mut command = cli.command(args);
        command.env("MOCK_DATA_PATH", data);
        command
    };
    assert!(with_data(&["seed"]).output().unwrap().status.success());
    assert!(cli.out(&["rejects"]).await.contains("no rejected rows match"));
    let worker = Process::start(&mut with_data(&["worker"]));
    let mut jobs = Vec::new();
    for (kind, tenant) in [
        ("ingest_tickets", "tenant_demo_1"),
        ("ingest_csat", "tenant_demo_1"),
        ("ingest_tickets", "tenant_demo_2"),
    ] {
        let job: Value =
            serde_json::from_str(&cli.out(&["enqueue", kind, "--tenant", tenant, "--wait"]).await).unwrap();
        assert_eq!(job["output"]["rejected"], 3, "{job}");
        jobs.push(job["id"].as_str().unwrap().to_owned());
    }
    drop(worker);

    let list = async |more: &[&str]| -> Vec<Vec<String>> {
        let out = cli.out(&[&["rejects"], more].concat()).await;
        let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        let mut lines = out.lines().map(cells);
        let head: Vec<String> = lines.next().unwrap();
        assert_eq!(head, ["FOUND", "TENANT", "DATASET", "ORIGIN", "LINE", "REASON", "JOB"]);
        lines.collect()
    };
    let all = list(&[]).await;
    assert_eq!(all.len(), 9, "{all:?}");
    assert_eq!(all[0][3..5], ["tenant_demo_2", "tickets"], "the newest first: {all:?}");
    assert_eq!(all[0].last(), Some(&jobs[2]));
    assert_eq!(all[8][3..5], ["tenant_demo_1", "tickets"]);
    assert_eq!(list(&["--tenant", "tenant_demo_1"]).await.len(), 6);
    for by_dataset in ["--dataset", "--source"] {
        assert_eq!(list(&[by_dataset, "csat"]).await.len(), 3);
    }
    assert_eq!(list(&["--job", &jobs[0], "--limit", "2"]).await.len(), 2);

    let json = cli.out(&["rejects", "--tenant", "tenant_demo_1", "--dataset", "csat", "--json"]).await;
    let rows: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 3);
    for row in &rows {
        assert_eq!((&row["tenant"], &row["job_id"]), (&"tenant_demo_1".into(), &jobs[1].as_str().into()));
        assert!(row["reason"].is_string() && row["line"].is_number() && row["origin"].is_string(), "{row}");
    }
    let found = rows[0]["rejected_at"].as_str().unwrap();
    assert!(cli.out(&["rejects", "--date", "2001-01-01"]).await.contains("no rejected rows match"));
    // The demo's tenants have zones of their own, so the day by UTC may be the one before or after.
    let day: chrono::NaiveDate = found[..10].parse().unwrap();
    let mut on_days = 0;
    for day in [day.pred_opt().unwrap(), day, day.succ_opt().unwrap()] {
        let json = cli.out(&["rejects", "--date", &day.to_string(), "--json"]).await;
        on_days += json.lines().filter(|line| line.starts_with('{')).count();
    }
    assert_eq!(on_days, 9, "each is of one day");

    let refused = cli.refused(&["rejects", "--dataset", "ticket"]).await;
    assert!(refused.contains("expected one of tickets, time_entries, csat, security_alerts"), "{refused}");
    let refused = cli.refused(&["rejects", "--tenant", "nobody"]).await;
    assert!(refused.contains("weirgate tenants list"), "{refused}");
}
