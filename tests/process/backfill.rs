//! Workers that are killed in the middle of a backfill.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::NaiveDate;
use uuid::Uuid;
use weirgate_msp::BackfillKind;
use weirgate_queue::backfill::{self, Backfill, BackfillSettings, BackfillState};
use weirgate_test_support::{TestDb, show, tenant};
use weirgate_web::backfill::{BackfillOrder, BackfillRange, Reprocess};

use crate::support::{Process, database, weirgate};

/// Until it is so far; a look in between keeps the test from spinning.
async fn until(db: &TestDb, id: Uuid, is: impl Fn(&Backfill) -> bool) -> Backfill {
    for _ in 0..2400 {
        let shown = show(db, id).await;
        if is(&shown) {
            return shown;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it does not come to that: {:#?}", show(db, id).await);
}

#[tokio::test]
async fn workers_killed_with_sigkill_lose_no_slice_and_make_none_twice() {
    let db = database().await;
    let home = tempfile::tempdir().unwrap();
    let tenants = [tenant(&db.pool, "acme", "UTC").await, tenant(&db.pool, "bolt", "Europe/Paris").await];
    let range = BackfillRange {
        tenants: tenants.iter().map(|tenant| tenant.id).collect(),
        from: "2024-01-01".parse().unwrap(),
        to: "2025-10-31".parse().unwrap(),
        order: BackfillOrder::NewestFirst,
        reprocess: Reprocess::All,
    };
    let id = Uuid::now_v7();
    let mut tx = db.pool.begin().await.unwrap();
    let kind = BackfillKind::ComputeKpi.describe();
    let new = kind.backfill(&mut tx, &range, None, 0, BackfillSettings::default(), None).await.unwrap();
    backfill::create(&mut tx, id, &new).await.unwrap();
    tx.commit().await.unwrap();
    let start = || {
        let mut command = weirgate(&["worker"], home.path());
        command.env("DATABASE_URL", &db.url).env("WEIRGATE_LEASE_S", "2");
        Process::start(command.env("WEIRGATE_LOG", "off"))
    };
    // Killed whenever it has made some headway, at whatever it does then.
    for done in [1, 250, 500, 750] {
        let mut worker = start();
        until(&db, id, |it| it.done >= done).await;
        worker.kill();
    }
    let worker = start();
    let end = until(&db, id, |it| it.state.is_final()).await;
    assert_eq!((end.state, end.skipped, end.total), (BackfillState::Completed, 0, 1340));
    let jobs: Vec<(String, String)> = sqlx::query_as(
        "select t.slug, args ->> 'date' from queue.jobs j join identity.tenants t on t.id = (args ->> 'tenant')::uuid",
    )
    .fetch_all(&db.pool)
    .await
    .unwrap();
    assert_eq!(jobs.len(), 1340, "each slice became one job");
    let slices: BTreeSet<(String, String)> = jobs.into_iter().collect();
    let days = range.from.iter_days().take_while(|day: &NaiveDate| *day <= range.to);
    let expected = days.flat_map(|day| ["acme", "bolt"].map(|slug| (slug.to_owned(), day.to_string())));
    assert_eq!(slices, expected.collect());
    let results: i64 =
        sqlx::query_scalar("select count(*) from msp.kpi_daily").fetch_one(&db.pool).await.unwrap();
    assert_eq!(results, 1340);
    drop(worker);
}
