//! Two real workers, one of which leads: it is stopped past its lease, and goes on.

use std::time::Duration;

use chrono::{DateTime, Utc};
use weirgate_queue::schedule::ScheduleChange;
use weirgate_test_support::{TestDb, tenant};

use crate::support::{Process, database, weirgate};

async fn leader(db: &TestDb) -> (i64, Option<i32>) {
    sqlx::query_as("select term, pid from queue.leader").fetch_one(&db.pool).await.unwrap()
}

async fn ticks(db: &TestDb) -> Vec<DateTime<Utc>> {
    sqlx::query_scalar("select tick from queue.schedule_ticks order by tick")
        .fetch_all(&db.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_leader_that_is_stopped_past_its_lease_is_replaced_and_each_tick_fires_once() {
    let db = database().await;
    tenant(&db.pool, "acme", "UTC").await;
    let change = ScheduleChange { cron: Some("* * * * * *".to_owned()), ..ScheduleChange::default() };
    db.change(&weirgate_msp::schedules(), "daily_pipeline", change).await;
    let folder = tempfile::tempdir().unwrap();
    let worker = || {
        let mut command = weirgate(&["worker"], folder.path());
        Process::start(command.env("DATABASE_URL", &db.url).env("WEIRGATE_LEASE_S", "3"))
    };
    let workers = [worker(), worker()];
    let until = async |done: &dyn Fn((i64, Option<i32>), usize) -> bool| {
        for _ in 0..1200 {
            let (leader, ticks) = (leader(&db).await, ticks(&db).await.len());
            if done(leader, ticks) {
                return (leader, ticks);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{:?}", leader(&db).await);
    };
    let ((term, pid), _) = until(&|(_, pid), ticks| pid.is_some() && ticks >= 2).await;
    let stopped = workers.iter().find(|it| i32::try_from(it.id()).ok() == pid).unwrap();
    stopped.signal("STOP");
    let ((next, _), count) = until(&|leader, _| leader.0 > term && leader.1 != pid).await;
    until(&|_, ticks| ticks >= count + 2).await;
    stopped.signal("CONT");
    until(&|_, ticks| ticks >= count + 5).await;
    let (last, still) = leader(&db).await;
    assert!(
        (last, still) == (next, still) && still != pid,
        "it does not take the lead back: {last} {still:?}"
    );
    let ticks = ticks(&db).await;
    assert!(ticks.windows(2).all(|pair| (pair[1] - pair[0]).num_seconds() == 1), "{ticks:?}");
}
