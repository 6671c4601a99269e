//! The KPIs of the demo tenants, as `demo-kpis.json` beside this folder has them, worked out by
//! hand from the rows in `mock-data/`.
//!
//! `tenant_demo_cca`, 2026-01-20, UTC:
//! - Minutes: TE-001 45 + TE-002 60 + TE-003 30 + TE-005 25 = 160 (TE-004 is of the 19th). Not
//!   billable: TE-003 30 + TE-005 25 = 55; billable: 105.
//! - Created on the day: TKT-001 09:00, TKT-002 08:15, TKT-004 10:10 = 3, of which TKT-001 is High
//!   and TKT-002 Critical = 2.
//! - Closed on the day: TKT-002 at 10:45 (`closed_at_remote`, not the update at 13:00), 150 min
//!   after 08:15; TKT-003 (Resolved, no `closed_at_remote`) at its update 09:30, 1,200 min after
//!   13:30 on the 19th; TKT-004 (Completed) at 10:40, 30 min after 10:10. So 3, mean (150 + 1200 +
//!   30) / 3 = 460. TKT-005 was closed on the 21st.
//! - First call: TKT-003 and TKT-004 have one time entry each, TKT-002 has two: 2 of 3.
//! - Open at the end of the day: TKT-001 and TKT-005 = 2.
//! - Satisfaction: SRV-001 5, SRV-002 2; SRV-003 is of the 21st: 3.5.
//! - The first ticket is of the 16th, so there are four days of history: no z-score, no anomaly.
//!
//! `tenant_demo_client2`, 2026-01-20 in Europe/Paris, which is 2026-01-19T23:00Z to
//! 2026-01-20T23:00Z:
//! - Minutes: TE-001 40, billable (TE-002 is of the 21st).
//! - TKT-001 was created at 00:30 local time and is Critical; TKT-002, at 23:30Z, is of the 21st
//!   there: 1 and 1.
//! - TKT-001 was closed at 08:10Z, 520 min after 23:30Z, with one time entry: 1, 520, 1 of 1; none
//!   is open.
//! - Satisfaction: SRV-001 at 22:45Z, 23:45 local time: 3.
//!
//! What it has from 2026-01-22 on is there for the days of a month, among them an unusual one:
//! 2026-02-10.

use chrono::NaiveDate;
use serde_json::{Value, json};
use weirgate_msp::{ComputeKpi, IngestCsat, IngestSecurityAlerts, IngestTickets, IngestTimeEntries};
use weirgate_test_support::{MOCK_DATA, tenant};

use crate::support::{TestApp, new_app};

#[tokio::test]
async fn the_demo_tenants_have_the_kpis_worked_out_by_hand() {
    let expected: Value = serde_json::from_str(include_str!("../demo-kpis.json")).unwrap();
    let app = new_app().await;
    for (slug, zone) in [("tenant_demo_cca", "UTC"), ("tenant_demo_client2", "Europe/Paris")] {
        tenant(&app.db.pool, slug, zone).await;
        for file in ["tickets.jsonl", "time_entries.jsonl"] {
            copy(&app, &format!("{slug}/{file}"));
        }
        for dataset in ["csat", "security_alerts"] {
            copy(&app, &format!("{dataset}/{slug}.json"));
        }
        let tenant = || slug.into();
        let rejected = [
            app.run(&IngestTickets { tenant: tenant() }).await.unwrap().rejected,
            app.run(&IngestTimeEntries { tenant: tenant() }).await.unwrap().rejected,
            app.run(&IngestCsat { tenant: tenant() }).await.unwrap().rejected,
            app.run(&IngestSecurityAlerts { tenant: tenant() }).await.unwrap().rejected,
        ];
        assert_eq!(rejected, [0; 4]);
        let kpis =
            app.run(&ComputeKpi { tenant: tenant(), date: "2026-01-20".parse().unwrap() }).await.unwrap();
        assert_eq!(json!(kpis), expected[slug], "{slug}");
    }
    for date in "2026-01-21".parse::<NaiveDate>().unwrap().iter_days().take(27) {
        let kpis = app.run(&ComputeKpi { tenant: "tenant_demo_client2".into(), date }).await.unwrap();
        assert_eq!(kpis.anomaly_detected, date == "2026-02-10".parse().unwrap(), "{date}: {kpis:?}");
    }
}

fn copy(app: &TestApp, path: &str) {
    let from = format!("{MOCK_DATA}/{path}");
    app.write(path, std::fs::read(from).unwrap());
}
