//! KPI formulas, against a plain computation in memory over random data.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};
use weirgate_identity::Tenant;
use weirgate_msp::{ComputeKpi, Kpis};
use weirgate_test_support::tenant;

use crate::support::new_app;

#[derive(Debug, Clone)]
struct Ticket {
    status: &'static str,
    priority: &'static str,
    created: DateTime<Utc>,
    updated: DateTime<Utc>,
    closed_remote: Option<DateTime<Utc>>,
    closed_flag: Option<bool>,
    entries: u8,
}

impl Ticket {
    fn closed(&self) -> Option<DateTime<Utc>> {
        let word = ["closed", "resolved", "completed"].contains(&self.status.to_lowercase().trim());
        self.closed_flag.unwrap_or(word).then(|| self.closed_remote.unwrap_or(self.updated))
    }
}

#[derive(Debug, Clone)]
struct Data {
    zone: Tz,
    tickets: Vec<Ticket>,
    /// Day, minutes, billable.
    work: Vec<(NaiveDate, i32, bool)>,
    surveys: Vec<(DateTime<Utc>, f64)>,
}

const ZONES: [Tz; 5] =
    [Tz::UTC, Tz::Europe__Paris, Tz::America__New_York, Tz::Asia__Kolkata, Tz::Pacific__Auckland];

fn day() -> NaiveDate {
    // In Paris and New York the clocks change within the 28 days before.
    "2026-04-05".parse().unwrap()
}

fn instant() -> impl Strategy<Value = DateTime<Utc>> + Clone {
    let noon: NaiveDateTime = day().and_hms_opt(12, 0, 0).unwrap();
    // Mostly around the day, down to the minute, so that its edges are hit.
    prop_oneof![3 => -2200i64..2200, 1 => -60_000i64..4000]
        .prop_map(move |minutes| noon.and_utc() + TimeDelta::minutes(minutes))
}

fn ticket() -> impl Strategy<Value = Ticket> {
    let status = prop::sample::select(vec![
        "New",
        "In Progress",
        "Closed",
        "Resolved",
        "Completed",
        "closed",
        ">Closed",
    ]);
    let priority = prop::sample::select(vec!["Low", "Medium", "High", "Critical", "HIGH"]);
    // Most within two days; some stay open for about the 28 days of history, or longer.
    let open = prop_oneof![3 => 0i64..3000, 1 => 38_000i64..44_000, 1 => 0i64..60_000];
    let flag = prop::option::of(any::<bool>());
    (status, priority, instant(), open.clone(), prop::option::of(open), flag, 0u8..4).prop_map(
        |(status, priority, created, updated, closed, closed_flag, entries)| Ticket {
            status,
            priority,
            created,
            updated: created + TimeDelta::minutes(updated),
            closed_remote: closed.map(|minutes| created + TimeDelta::minutes(minutes)),
            closed_flag,
            entries,
        },
    )
}

fn data() -> impl Strategy<Value = Data> {
    let zone = prop::sample::select(ZONES.to_vec());
    let work = (-2i64..=2, 0i32..500, any::<bool>())
        .prop_map(|(days, minutes, billable)| (day() + TimeDelta::days(days), minutes, billable));
    (
        zone,
        prop::collection::vec(ticket(), 0..60),
        prop::collection::vec(work, 0..20),
        prop::collection::vec((instant(), prop::sample::select(vec![-1.0, 0.0, 1.0, 3.0, 5.0])), 0..10),
    )
        .prop_map(|(zone, tickets, work, surveys)| Data { zone, tickets, work, surveys })
}

fn mean(values: &[f64]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a few dozen values")]
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The formulas as the words have them, a row at a time.
fn naive(data: &Data) -> Kpis {
    let local = |at: DateTime<Utc>| at.with_timezone(&data.zone).date_naive();
    let count = |keep: &dyn Fn(&Ticket) -> bool| {
        i64::try_from(data.tickets.iter().filter(|it| keep(it)).count()).unwrap()
    };
    let minutes = |keep: &dyn Fn(bool) -> bool| {
        data.work.iter().filter(|it| it.0 == day() && keep(it.2)).map(|it| i64::from(it.1)).sum::<i64>()
            + data.tickets.iter().map(|it| if keep(true) { i64::from(it.entries) } else { 0 }).sum::<i64>()
    };
    let closed: Vec<&Ticket> =
        data.tickets.iter().filter(|it| it.closed().is_some_and(|at| local(at) == day())).collect();
    #[expect(clippy::cast_precision_loss, reason = "minutes of a few days")]
    let resolution: Vec<f64> =
        closed.iter().map(|it| (it.closed().unwrap() - it.created).num_seconds() as f64 / 60.0).collect();
    let first_call: Vec<f64> = closed.iter().map(|it| if it.entries == 1 { 1.0 } else { 0.0 }).collect();
    let scores: Vec<f64> = data.surveys.iter().filter(|it| local(it.0) == day()).map(|it| it.1).collect();
    let z = z_score(data);
    Kpis {
        total_minutes: minutes(&|_| true),
        billable_minutes: minutes(&|billable| billable),
        non_billable_minutes: data
            .work
            .iter()
            .filter(|it| it.0 == day() && !it.2)
            .map(|it| i64::from(it.1))
            .sum(),
        avg_resolution_minutes: mean(&resolution),
        first_call_resolution_rate: mean(&first_call),
        avg_satisfaction_score: mean(&scores),
        tickets_created: count(&|it| local(it.created) == day()),
        tickets_closed: i64::try_from(closed.len()).unwrap(),
        tickets_open: count(&|it| {
            local(it.created) <= day() && it.closed().is_none_or(|at| local(at) > day())
        }),
        tickets_high_priority: count(&|it| {
            local(it.created) == day() && ["high", "critical"].contains(&&*it.priority.to_lowercase())
        }),
        anomaly_detected: z.is_some_and(|z| z.abs() >= 3.0),
        z_score: z,
    }
}

fn z_score(data: &Data) -> Option<f64> {
    let created_on = |date: NaiveDate| -> f64 {
        let on = |it: &&Ticket| it.created.with_timezone(&data.zone).date_naive() == date;
        #[expect(clippy::cast_precision_loss, reason = "a few dozen tickets")]
        let tickets = data.tickets.iter().filter(on).count() as f64;
        tickets
    };
    let first = data.tickets.iter().map(|it| it.created).min()?.with_timezone(&data.zone).date_naive();
    let from = first.max(day() - Days::new(28));
    let history: Vec<f64> = from.iter_days().take_while(|date| *date < day()).map(created_on).collect();
    if history.len() < 7 {
        return None;
    }
    let mean = mean(&history)?;
    #[expect(clippy::cast_precision_loss, reason = "at most 28")]
    let variance = history.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (history.len() - 1) as f64;
    Some((created_on(day()) - mean) / variance.sqrt().max(mean.sqrt()).max(1.0))
}

async fn store(pool: &PgPool, tenant: &Tenant, data: &Data) {
    for (i, it) in data.tickets.iter().enumerate() {
        let id = i.to_string();
        sqlx::query(
            "insert into msp.raw_tickets (tenant_id, cw_ticket_id, status, priority, created_at_remote, updated_at_remote, closed_at_remote, closed_flag)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(tenant.id)
        .bind(&id)
        .bind(it.status)
        .bind(it.priority)
        .bind(it.created)
        .bind(it.updated)
        .bind(it.closed_remote)
        .bind(it.closed_flag)
        .execute(pool)
        .await
        .unwrap();
        for entry in 0..it.entries {
            book(pool, tenant, &format!("{i}-{entry}"), Some(&id), 1, true, day()).await;
        }
    }
    for (i, (date, minutes, billable)) in data.work.iter().enumerate() {
        book(pool, tenant, &format!("w{i}"), None, *minutes, *billable, *date).await;
    }
    for (i, (at, score)) in data.surveys.iter().enumerate() {
        sqlx::query("insert into msp.raw_csat_surveys (tenant_id, survey_id, score, submitted_at) values ($1, $2, $3, $4)")
            .bind(tenant.id)
            .bind(i.to_string())
            .bind(score)
            .bind(at)
            .execute(pool)
            .await
            .unwrap();
    }
    add_deleted(pool, tenant).await;
}

/// Each row once more, as one that the source has deleted: none of these may count.
async fn add_deleted(pool: &PgPool, tenant: &Tenant) {
    for (table, id) in [
        ("msp.raw_tickets", "cw_ticket_id"),
        ("msp.raw_time_entries", "cw_time_entry_id"),
        ("msp.raw_csat_surveys", "survey_id"),
    ] {
        let sql = format!(
            "insert into {table} select r.* from {table} t, jsonb_populate_record(t,
                jsonb_build_object('{id}', 'x' || {id}, 'deleted_at', queue.now())) r where t.tenant_id = $1"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(tenant.id).execute(pool).await.unwrap();
    }
}

async fn book(
    pool: &PgPool,
    tenant: &Tenant,
    id: &str,
    ticket: Option<&str>,
    minutes: i32,
    billable: bool,
    date: NaiveDate,
) {
    sqlx::query(
        "insert into msp.raw_time_entries (tenant_id, cw_time_entry_id, cw_ticket_id, billable, minutes, date_worked)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(tenant.id)
    .bind(id)
    .bind(ticket)
    .bind(billable)
    .bind(minutes)
    .bind(date)
    .execute(pool)
    .await
    .unwrap();
}

fn assert_same(got: &Kpis, want: &Kpis) {
    let close = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-6,
        (a, b) => a == b,
    };
    for (name, a, b) in [
        ("avg_resolution_minutes", got.avg_resolution_minutes, want.avg_resolution_minutes),
        ("first_call_resolution_rate", got.first_call_resolution_rate, want.first_call_resolution_rate),
        ("avg_satisfaction_score", got.avg_satisfaction_score, want.avg_satisfaction_score),
        ("z_score", got.z_score, want.z_score),
    ] {
        assert!(close(a, b), "{name}: {a:?} instead of {b:?}");
    }
    let exact = |kpis: &Kpis| Kpis {
        avg_resolution_minutes: None,
        first_call_resolution_rate: None,
        avg_satisfaction_score: None,
        z_score: None,
        ..kpis.clone()
    };
    assert_eq!(exact(got), exact(want));
}

#[test]
fn sql_and_words_agree_on_random_data() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let app = runtime.block_on(new_app());
    // A tenant a zone: to check the name of one takes Postgres as long as a case.
    let tenants: Vec<(Tz, Tenant)> = runtime.block_on(async {
        let mut tenants = Vec::new();
        for (n, zone) in ZONES.into_iter().enumerate() {
            tenants.push((zone, tenant(&app.db.pool, &format!("zone_{n}"), zone.name()).await));
        }
        tenants
    });
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() });
    let result = runner.run(&data(), |data| {
        let (_, tenant) = tenants.iter().find(|(zone, _)| *zone == data.zone).unwrap();
        runtime.block_on(async {
            sqlx::raw_sql(
                "delete from msp.raw_tickets; delete from msp.raw_time_entries; delete from msp.raw_csat_surveys",
            )
            .execute(&app.db.pool)
            .await
            .unwrap();
            store(&app.db.pool, tenant, &data).await;
            let kpis = app.run(&ComputeKpi { tenant: tenant.into(), date: day() }).await.unwrap();
            assert_same(&kpis, &naive(&data));
        });
        Ok(())
    });
    result.unwrap();
}

/// A slug, the tickets so many days before, those of the day, and whether it is an anomaly.
type Case<'a> = (&'a str, &'a dyn Fn(i64) -> usize, usize, bool);

#[tokio::test]
async fn a_day_is_an_anomaly_when_it_stands_out_of_its_history() {
    let app = new_app().await;
    let noon = day().and_hms_opt(12, 0, 0).unwrap().and_utc();
    let at = |days: i64| Ticket {
        status: "New",
        priority: "Low",
        created: noon - TimeDelta::days(days),
        updated: noon,
        closed_remote: None,
        closed_flag: None,
        entries: 0,
    };
    let alternating = |days: i64| usize::from(days % 2 == 0) + 1;
    // One a long time ago, and none since.
    let silent = |days: i64| usize::from(days == 40);
    let working_days = |days: i64| if [0, 6].contains(&(days % 7)) { 1 } else { 10 };
    let cases: [Case; 10] = [
        ("bursting", &alternating, 40, true),
        ("flat", &|_| 10, 110, true),
        ("flat_and_less_flat", &|_| 10, 13, false),
        ("flat_and_well_above", &|_| 10, 20, true),
        ("flat_and_nothing", &|_| 10, 0, true),
        ("one_a_day_and_three", &|_| 1, 3, false),
        ("silent_and_one", &silent, 1, false),
        ("silent_and_three", &silent, 3, true),
        ("working_days", &working_days, 10, false),
        ("working_days_and_a_burst", &working_days, 40, true),
    ];
    for (slug, history, today, is_anomaly) in cases {
        let tenant = tenant(&app.db.pool, slug, "UTC").await;
        let mut tickets: Vec<Ticket> = (1..=40).flat_map(|days| vec![at(days); history(days)]).collect();
        tickets.extend(vec![at(0); today]);
        let data = Data { zone: Tz::UTC, tickets, work: vec![], surveys: vec![] };
        store(&app.db.pool, &tenant, &data).await;
        let kpis = app.run(&ComputeKpi { tenant: slug.into(), date: day() }).await.unwrap();
        assert_eq!(kpis.anomaly_detected, is_anomaly, "{slug}: {kpis:?}");
        assert_same(&kpis, &naive(&data));
    }
}

#[tokio::test]
async fn the_day_of_a_tenant_with_many_tickets_is_read_by_index_whatever_the_plan() {
    const KPIS: &str = include_str!("../../jobs/compute_kpi.sql");
    let app = new_app().await;
    let tenant = tenant(&app.db.pool, "acme", "Europe/Paris").await;
    let mut conn = app.db.pool.acquire().await.unwrap();
    sqlx::query(
        "insert into msp.raw_tickets (tenant_id, cw_ticket_id, status, priority, created_at_remote, updated_at_remote, closed_at_remote)
         select $1, n, 'Closed', 'High', at, at, at
         from generate_series(1, 40000) as n, lateral (select timestamptz '2025-01-01' + n * interval '15 minutes') as i (at)",
    )
    .bind(tenant.id)
    .execute(&mut *conn)
    .await
    .unwrap();
    for mode in ["force_generic_plan", "force_custom_plan"] {
        for sql in [
            "analyze msp.raw_tickets",
            &format!("set plan_cache_mode = {mode}"),
            &format!("prepare kpis_{mode} (uuid, date) as {KPIS}"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut *conn).await.unwrap();
        }
        let sql =
            format!("explain (analyze, format json) execute kpis_{mode} ('{}', '2025-08-10')", tenant.id);
        let plan: Value = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *conn).await.unwrap();
        let mut read = Vec::new();
        rows_of_tickets(&plan[0]["Plan"], &mut read);
        // The day, what was closed on it, and 29 days one by one: some hundred rows each and not
        // all of them.
        assert!(read.len() >= 4 && read.iter().all(|rows| *rows < 200.0), "{mode}: {read:?} {plan:#}");
    }
}

/// How many rows each scan of the tickets reads, those that it throws away included.
fn rows_of_tickets(plan: &Value, read: &mut Vec<f64>) {
    if plan["Relation Name"] == "raw_tickets" {
        let rows = |field: &str| plan[field].as_f64().unwrap_or(0.0);
        read.push(
            rows("Actual Rows") + rows("Rows Removed by Filter") + rows("Rows Removed by Index Recheck"),
        );
    }
    for inner in plan["Plans"].as_array().into_iter().flatten() {
        rows_of_tickets(inner, read);
    }
}
