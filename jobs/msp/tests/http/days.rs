//! What counts to a tenant's day: the same in KPIs, exports and lists, also where clocks change.

use axum::http::StatusCode;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::support::TestApi;
use weirgate_msp::{ComputeKpi, ExportFormat, GenerateExport};

/// A ticket, a survey and an alert each half an hour, from a day and a half before to a day and a
/// half after.
async fn fill(api: &TestApi, zone: Tz, day: NaiveDate) -> Vec<DateTime<Utc>> {
    for table in
        ["msp.raw_tickets", "msp.raw_csat_surveys", "msp.raw_security_alerts", "msp.kpi_daily", "msp.exports"]
    {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("delete from {table}")))
            .execute(&api.db().pool)
            .await
            .unwrap();
    }
    let noon = day.and_hms_opt(12, 0, 0).unwrap().and_utc();
    let instants: Vec<DateTime<Utc>> = (-96..=96).map(|n| noon + TimeDelta::minutes(30 * n)).collect();
    let ids: Vec<String> = instants.iter().map(DateTime::to_rfc3339).collect();
    for sql in [
        "update identity.tenants set time_zone = $4 where id = $1 and cardinality($2::text[]) = cardinality($3::timestamptz[])",
        "insert into msp.raw_tickets (tenant_id, cw_ticket_id, status, priority, created_at_remote, updated_at_remote, closed_at_remote)
         select $1, id, 'Closed', 'High', at, at, at from unnest($2::text[], $3::timestamptz[]) as i (id, at) where $4 <> ''",
        "insert into msp.raw_csat_surveys (tenant_id, survey_id, score, submitted_at)
         select $1, id, 5, at from unnest($2::text[], $3::timestamptz[]) as i (id, at) where $4 <> ''",
        "insert into msp.raw_security_alerts (tenant_id, source, alert_id, severity, status, detected_at)
         select $1, 'defender', id, 'low', 'new', at from unnest($2::text[], $3::timestamptz[]) as i (id, at) where $4 <> ''",
    ] {
        sqlx::query(sql)
            .bind(api.cca.id)
            .bind(&ids)
            .bind(&instants)
            .bind(zone.name())
            .execute(&api.db().pool)
            .await
            .unwrap();
    }
    instants
}

#[tokio::test]
async fn a_day_is_the_same_in_kpis_exports_and_lists_where_the_clocks_change() {
    let api = TestApi::new().await;
    for (zone, day) in [
        (Tz::Atlantic__Azores, "2025-10-26"),
        (Tz::America__Havana, "2025-11-02"),
        (Tz::America__Santiago, "2025-09-07"),
        (Tz::Asia__Beirut, "2025-10-26"),
        (Tz::Australia__Lord_Howe, "2026-04-05"),
        (Tz::America__New_York, "2026-01-20"),
    ] {
        let day: NaiveDate = day.parse().unwrap();
        let instants = fill(&api, zone, day).await;
        for day in [day.pred_opt().unwrap(), day, day.succ_opt().unwrap()] {
            let of_it = |at: &&DateTime<Utc>| at.with_timezone(&zone).date_naive() == day;
            let mut ids: Vec<String> = instants.iter().filter(of_it).map(DateTime::to_rfc3339).collect();
            let tenant = || api.cca.slug.as_str().into();
            let kpis = api.app.run(&ComputeKpi { tenant: tenant(), date: day }).await.unwrap();
            let count = i64::try_from(ids.len()).unwrap();
            assert_eq!(
                (kpis.tickets_created, kpis.tickets_closed, kpis.tickets_high_priority),
                (count, count, count),
                "{zone} {day}"
            );
            let export = GenerateExport { tenant: tenant(), date: day, format: ExportFormat::Json };
            let export = api.app.run(&export).await.unwrap().export_id;
            let export = api.v1(&format!("/v1/exports/{export}/download")).await.ok(StatusCode::OK);
            let tickets = export["tickets"].as_array().unwrap().iter();
            let exported: Vec<&str> = tickets.map(|it| it["cw_ticket_id"].as_str().unwrap()).collect();
            assert_eq!(exported, ids, "{zone} {day}");
            ids.reverse();
            for (list, from, to, id) in [
                ("tickets", "created_from", "created_to", "cw_ticket_id"),
                ("csat", "from", "to", "survey_id"),
                ("security-alerts", "from", "to", "alert_id"),
            ] {
                let listed = api.v1(&format!("/v1/{list}?{from}={day}&{to}={day}&limit=500")).await;
                assert_eq!(listed.column(id), ids, "{zone} {day} {list}");
            }
        }
    }
}
