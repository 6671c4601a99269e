//! Which days a backfill is of: those without a result, those that failed, and none that have not
//! begun.

use serde_json::{Value, json};
use weirgate_msp::{ComputeKpi, GenerateExport, IngestTickets};

use super::backfills::{create, days, dry, end_job, expand, january, show, with};
use crate::support::TestApi;

#[tokio::test]
async fn missing_days_are_those_without_a_result() {
    let api = TestApi::new().await;
    let tenant = || api.cca.slug.as_str().into();
    for day in ["2026-01-05", "2026-01-06"] {
        api.app.run(&ComputeKpi { tenant: tenant(), date: day.parse().unwrap() }).await.unwrap();
    }
    let date = "2026-01-07".parse().unwrap();
    let csv = weirgate_msp::ExportFormat::Csv;
    api.app.run(&IngestTickets { tenant: tenant() }).await.unwrap();
    api.app.run(&GenerateExport { tenant: tenant(), date, format: csv }).await.unwrap();
    let json = weirgate_msp::ExportFormat::Json;
    api.app.run(&GenerateExport { tenant: tenant(), date, format: json }).await.unwrap();
    for (kind, cca) in [("compute_kpi", 29), ("generate_export", 30), ("daily_pipeline", 30)] {
        let body = with(january(kind), "reprocess", "missing");
        let counts = dry(&api, body.clone()).await;
        let expected = json!({"dry_run": true, "kind": kind, "total": cca + 31, "future_days": 0, "tenants": [
            {"tenant_id": api.cca.id, "tenant": "tenant_demo_cca", "slices": cca},
            {"tenant_id": api.client2.id, "tenant": "tenant_demo_client2", "slices": 31},
        ]});
        assert_eq!(counts, expected);
        assert_eq!(
            api.count("queue.backfills").await + api.count("queue.jobs").await,
            0,
            "nothing is stored"
        );
        let made = create(&api, &body).await;
        expand(&api).await;
        let shown = show(&api, &made).await;
        assert_eq!(shown["skipped"], json!(62 - cca - 31), "the dry run said so");
        api.execute("delete from queue.jobs; delete from queue.backfills").await;
    }
}

#[tokio::test]
async fn failed_days_are_those_that_failed_for_good_and_have_no_result_since() {
    let api = TestApi::new().await;
    for (kind, enqueue) in [
        ("compute_kpi", "/internal/kpi/compute-daily"),
        ("generate_export", "/internal/exports/generate"),
        ("daily_pipeline", "/internal/pipelines/daily"),
    ] {
        for (date, state) in
            [("01", "discarded"), ("02", "completed"), ("03", "discarded"), ("04", "cancelled")]
        {
            let date = format!("2026-01-{date}");
            api.enqueue(&format!("{enqueue}?tenant_id=tenant_demo_cca&date={date}")).await;
            end_job(&api, &date, state).await;
        }
        // The third succeeded later.
        let date = "2026-01-03".parse().unwrap();
        let tenant = || api.cca.slug.as_str().into();
        api.app.run(&ComputeKpi { tenant: tenant(), date }).await.unwrap();
        let json = weirgate_msp::ExportFormat::Json;
        api.app.run(&GenerateExport { tenant: tenant(), date, format: json }).await.unwrap();
        let body = with(january(kind), "reprocess", "failed");
        let counts = dry(&api, body.clone()).await;
        assert_eq!((&counts["total"], &counts["tenants"][0]["slices"]), (&json!(1), &json!(1)), "{kind}");
        let made = create(&api, &body).await;
        expand(&api).await;
        let job = if kind == "compute_kpi" { "compute_kpi" } else { "generate_export" };
        let made = days(&api, &made, job).await;
        assert_eq!(made, [("tenant_demo_cca".to_owned(), "2026-01-01".to_owned())], "{kind}");
        api.execute(
            "delete from queue.jobs; delete from queue.backfills; delete from msp.kpi_daily; delete from msp.exports",
        )
        .await;
    }
}

#[tokio::test]
async fn a_pipeline_whose_ingest_failed_is_a_failed_day() {
    let api = TestApi::new().await;
    let last = api.enqueue("/internal/pipelines/daily?tenant_id=tenant_demo_cca&date=2026-01-09").await;
    let db = api.db();
    let ingest: uuid::Uuid = sqlx::query_scalar("select id from queue.jobs where kind = 'ingest_csat'")
        .fetch_one(&db.pool)
        .await
        .unwrap();
    weirgate_queue::control::cancel(&mut db.pool.acquire().await.unwrap(), ingest).await.unwrap();
    assert_eq!(db.job(weirgate_test_support::id(&last["id"])).await.errors[0]["code"], "dependency_failed");
    let counts = dry(&api, with(january("pipeline"), "reprocess", "failed")).await;
    assert_eq!(counts["total"], 1);
    assert_eq!(dry(&api, with(january("generate_export"), "reprocess", "failed")).await["total"], 0);
}

/// The tenants and days that a dry run of both tenants has something to do for.
async fn due(api: &TestApi, kind: &str, reprocess: &str, days: (&str, &str)) -> (Value, Vec<Value>) {
    let body = json!({"kind": kind, "tenants": "all", "from": days.0, "to": days.1, "reprocess": reprocess});
    let counts = dry(api, body).await;
    let tenants = counts["tenants"].as_array().unwrap().iter().map(|it| it["slices"].clone()).collect();
    (counts["future_days"].clone(), tenants)
}

#[tokio::test]
async fn days_that_have_not_begun_where_the_tenant_is_are_skipped_and_told() {
    let api = TestApi::new().await;
    // In Paris it is the 21st.
    api.db().travel_to("2026-01-20T23:30:00Z").await;
    for (kind, job) in [
        ("compute_kpi", "compute_kpi"),
        ("generate_export", "generate_export"),
        ("daily_pipeline", "generate_export"),
    ] {
        for reprocess in ["all", "missing"] {
            let of = due(&api, kind, reprocess, ("2026-01-19", "2026-01-23")).await;
            assert_eq!(of, (json!(5), vec![json!(2), json!(3)]), "{kind} {reprocess}");
        }
        assert_eq!(due(&api, kind, "missing", ("2027-01-01", "2027-12-31")).await.1, [json!(0), json!(0)]);
        let body = with(with(january(kind), "from", "2026-01-19"), "to", "2026-01-23");
        let made = create(&api, &body).await;
        assert_eq!((&made["future_days"], &made["total"]), (&json!(5), &json!(10)), "{kind}");
        expand(&api).await;
        assert_eq!(show(&api, &made).await["skipped"], 5, "{kind}");
        let mut days = days(&api, &made, job).await;
        days.sort();
        let expected = [
            ("tenant_demo_cca", "19"),
            ("tenant_demo_cca", "20"),
            ("tenant_demo_client2", "19"),
            ("tenant_demo_client2", "20"),
            ("tenant_demo_client2", "21"),
        ];
        assert_eq!(
            days,
            expected.map(|(tenant, day)| (tenant.to_owned(), format!("2026-01-{day}"))),
            "{kind}"
        );
        // A job of such a day that failed is left alone too.
        api.execute(
            "update queue.jobs set state = 'discarded', finalized_at = queue.now(), subject = '2026-01-22'",
        )
        .await;
        assert_eq!(due(&api, kind, "failed", ("2026-01-19", "2026-01-23")).await.1, [json!(0), json!(0)]);
        api.execute("delete from queue.jobs; delete from queue.backfills").await;
    }
}

#[tokio::test]
async fn what_was_made_before_the_end_of_its_day_is_missing() {
    let api = TestApi::new().await;
    let days = ("2026-01-20", "2026-01-20");
    let compute = async || {
        for tenant in [&api.cca, &api.client2] {
            let job = ComputeKpi { tenant: tenant.slug.as_str().into(), date: "2026-01-20".parse().unwrap() };
            api.app.run(&job).await.unwrap();
        }
    };
    let export = async || {
        for tenant in [&api.cca, &api.client2] {
            let (tenant, date) = (tenant.slug.as_str().into(), "2026-01-20".parse().unwrap());
            let format = weirgate_msp::ExportFormat::Json;
            api.app.run(&GenerateExport { tenant, date, format }).await.unwrap();
        }
    };
    let missing = async |kind: &str| {
        let counted = due(&api, kind, "missing", days).await.1;
        // What is counted is what is made.
        let body = with(with(january(kind), "from", days.0), "to", days.1);
        let made = create(&api, &with(body, "reprocess", "missing")).await;
        expand(&api).await;
        let skipped = show(&api, &made).await["skipped"].as_u64().unwrap();
        assert_eq!(counted.iter().map(|it| it.as_u64().unwrap()).sum::<u64>(), 2 - skipped, "{kind}");
        api.execute("delete from queue.jobs; delete from queue.backfills").await;
        counted
    };
    let (both, cca, none) = ([json!(1), json!(1)], [json!(1), json!(0)], [json!(0), json!(0)]);
    // Where the day is over in Paris, and not yet in UTC.
    api.db().travel_to("2026-01-20T23:30:00Z").await;
    compute().await;
    export().await;
    for kind in ["compute_kpi", "generate_export", "daily_pipeline"] {
        assert_eq!(missing(kind).await, cca, "{kind}");
    }
    api.db().travel_to("2026-01-21T00:30:00Z").await;
    for kind in ["compute_kpi", "generate_export", "daily_pipeline"] {
        assert_eq!(missing(kind).await, cca, "{kind}: it does not become whole by waiting");
    }
    export().await;
    assert_eq!(missing("generate_export").await, none);
    assert_eq!(missing("daily_pipeline").await, cca, "the KPIs in its export are of half a day");
    compute().await;
    for kind in ["compute_kpi", "generate_export", "daily_pipeline"] {
        assert_eq!(missing(kind).await, none, "{kind}");
    }
    // Worked out to the second at which the day ended, and a moment before.
    api.execute(
        "update msp.kpi_daily set computed_at = identity.local_day_start('2026-01-21', 'Europe/Paris')",
    )
    .await;
    assert_eq!(missing("compute_kpi").await, cca);
    api.execute("update msp.kpi_daily set computed_at = identity.local_day_start('2026-01-21', 'Europe/Paris') - interval '1 microsecond'").await;
    assert_eq!(missing("compute_kpi").await, both);
}
