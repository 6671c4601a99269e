//! Each tick fires once, in spite of races, faults and changes of the leader.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Semaphore;
use weirgate_queue::schedule::{Missed, ScheduleChange, Schedules};
use weirgate_queue::worker::leader::Leader;
use weirgate_queue::worker::scheduler::Scheduler;
use weirgate_test_support::{TestDb, Ticking, leader};

#[tokio::test]
async fn leader_suspended_past_its_lease_fires_nothing_that_it_found_due() {
    let db = TestDb::new().await;
    let ticking = Ticking::hourly("a").missed(Missed::All);
    let clockwork = ticking.clockwork();
    let schedules = Schedules::default().with(ticking);
    db.fire_at("2030-01-10T00:30:00Z", &schedules).await;
    db.travel_to("2030-01-10T03:30:00Z").await;
    // It is suspended in the first of three ticks, and its lease ends.
    let gate = Arc::new(Semaphore::new(0));
    *clockwork.fire_gate.lock() = Some(gate.clone());
    let (sleeper, looks) = (leader(&db).await, Scheduler::new(schedules.clone()));
    let sleeper = tokio::spawn(async move { looks.run_once(&sleeper).await.unwrap() });
    until_at(&gate, 1).await;
    db.travel(Duration::from_secs(61)).await;
    let takeover = tokio::spawn({
        let pool = db.pool.clone();
        async move {
            let next = Leader::new(pool, "test", Duration::from_mins(1));
            assert!(next.run_once().await.unwrap());
            next
        }
    });
    // The gate would let any number of ticks pass. It goes on as the leader that it no longer is.
    gate.add_permits(10);
    assert_eq!(sleeper.await.unwrap(), 1);
    let next = takeover.await.unwrap();
    assert_eq!(Scheduler::new(schedules).run_once(&next).await.unwrap(), 2);
    assert_eq!(db.labels().await, ["a 01-10T01:00:00", "a 01-10T02:00:00", "a 01-10T03:00:00"]);
}

#[tokio::test]
async fn tick_whose_transaction_is_rolled_back_fires_later() {
    let db = TestDb::new().await;
    let ticking = Ticking::hourly("a").missed(Missed::All);
    let clockwork = ticking.clockwork();
    let schedules = Schedules::default().with(ticking);
    db.fire_at("2030-01-10T00:30:00Z", &schedules).await;
    clockwork.fails.store(true, Ordering::SeqCst);
    assert_eq!(db.fire_at("2030-01-10T02:00:01Z", &schedules).await, 0);
    assert!(db.labels().await.is_empty() && db.ticks().await.is_empty(), "neither job nor tick is left");
    clockwork.fails.store(false, Ordering::SeqCst);
    assert_eq!(db.fire_at("2030-01-10T02:00:02Z", &schedules).await, 2, "in order, both");
    assert_eq!(db.labels().await, ["a 01-10T01:00:00", "a 01-10T02:00:00"]);
}

#[tokio::test]
async fn scheduler_checks_again_after_a_failure_and_at_the_next_tick() {
    let db = TestDb::new().await;
    let ticking = Ticking::hourly("a");
    let clockwork = ticking.clockwork();
    let scheduler = Scheduler::new(Schedules::default().with(ticking));
    db.travel_to("2030-01-10T00:59:00Z").await;
    let leader = leader(&db).await;
    assert_eq!(scheduler.run_once(&leader).await.unwrap(), 0);
    db.travel(Duration::from_secs(59)).await;
    leader.run_once().await.unwrap();
    db.travel(Duration::from_secs(1)).await;
    clockwork.fails.store(true, Ordering::SeqCst);
    assert_eq!(scheduler.run_once(&leader).await.unwrap(), 0);
    clockwork.fails.store(false, Ordering::SeqCst);
    assert_eq!(scheduler.run_once(&leader).await.unwrap(), 0, "not at once");
    db.travel(Duration::from_secs(5)).await;
    assert_eq!(scheduler.run_once(&leader).await.unwrap(), 1);
    assert_eq!(scheduler.run_once(&leader).await.unwrap(), 0);
    assert_eq!(db.labels().await, ["a 01-10T01:00:00"]);
}

#[tokio::test]
async fn pause_between_the_check_and_the_tick_prevents_the_tick() {
    let db = TestDb::new().await;
    let ticking = Ticking::hourly("a").per_tenant(&[("", "UTC")]);
    let clockwork = ticking.clockwork();
    let schedules = Schedules::default().with(ticking);
    db.fire_at("2030-01-10T00:30:00Z", &schedules).await;
    db.travel_to("2030-01-10T01:00:01Z").await;
    let gate = Arc::new(Semaphore::new(0));
    *clockwork.gate.lock() = Some(gate.clone());
    let (leader, looks) = (leader(&db).await, Scheduler::new(schedules.clone()));
    let looking = tokio::spawn(async move { looks.run_once(&leader).await.unwrap() });
    // It waits at the gate after it has read the settings.
    until_at(&gate, 1).await;
    db.change(&schedules, "a", ScheduleChange { enabled: Some(false), ..ScheduleChange::default() }).await;
    gate.add_permits(1);
    assert_eq!(looking.await.unwrap(), 0);
    assert!(db.labels().await.is_empty());
}

/// Waits until `waiting` tasks wait at the gate.
async fn until_at(gate: &Arc<Semaphore>, waiting: usize) {
    // The test and the schedule have a handle each, beside those of the tasks.
    while Arc::strong_count(gate) < 2 + waiting {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn tick_fires_once_by_its_key_alone() {
    let db = TestDb::new().await;
    let ticking = Ticking::hourly("a").per_tenant(&[("", "UTC")]);
    let clockwork = ticking.clockwork();
    let schedules = Schedules::default().with(ticking);
    db.fire_at("2030-01-10T00:30:00Z", &schedules).await;
    db.travel_to("2030-01-10T01:00:01Z").await;
    let gate = Arc::new(Semaphore::new(0));
    *clockwork.gate.lock() = Some(gate.clone());
    // All have the same lease, so that it refuses none of them.
    let leader = Arc::new(leader(&db).await);
    let racers: Vec<_> = (0..4)
        .map(|_| (leader.clone(), Scheduler::new(schedules.clone())))
        .map(|(leader, racer)| tokio::spawn(async move { racer.run_once(&leader).await.unwrap() }))
        .collect();
    until_at(&gate, 4).await;
    gate.add_permits(4);
    let mut fired = 0;
    for racer in racers {
        fired += racer.await.unwrap();
    }
    assert_eq!((fired, db.labels().await.len()), (1, 1));
}

#[tokio::test]
async fn failing_schedule_does_not_stop_the_others() {
    let db = TestDb::new().await;
    let panics = Ticking::hourly("panics");
    panics.clockwork.panics.store(true, Ordering::SeqCst);
    let schedules = Schedules::default()
        .with(panics)
        .with(Ticking::hourly("bad_cron"))
        .with(Ticking::hourly("bad_zone"))
        .with(Ticking::hourly("tenants").per_tenant(&[("nowhere", "Mars/Olympus"), ("here", "UTC")]))
        .with(Ticking::hourly("well"));
    db.fire_at("2030-01-10T00:30:00Z", &schedules).await;
    sqlx::raw_sql(
        "update queue.schedules set cron = '0 0 25 * * *' where name = 'bad_cron';
         update queue.schedules set time_zone = 'Old/Name' where name = 'bad_zone'",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    assert_eq!(db.fire_at("2030-01-10T01:00:00Z", &schedules).await, 2);
    assert_eq!(db.labels().await, ["tenantshere 01-10T01:00:00", "well 01-10T01:00:00"]);
    let problems = db.problems(&schedules).await;
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].contains("field 3 (hour), \"25\""), "{problems:?}");
    assert!(problems[1].contains("Old/Name"), "{problems:?}");
    assert!(problems[2].contains("nowhere") && problems[2].contains("Mars/Olympus"), "{problems:?}");
}
