//! Each tick fires once: races, faults, changes of the leader.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Semaphore;
use weirgate_queue::maintenance::leader::Leader;
use weirgate_queue::maintenance::scheduler::Scheduler;
use weirgate_queue::schedule::{Change, Missed, Schedules};

use crate::support::{TestDb, Ticking, leader};

#[tokio::test]
async fn a_leader_that_slept_past_its_lease_fires_nothing_of_what_it_found_due() {
    let db = TestDb::new().await;
    let ticking = Ticking::hourly("a").missed(Missed::All);
    let clockwork = ticking.clockwork();
    let schedules = Schedules::default().with(ticking);
    db.fire_at("2030-01-10T00:30:00Z", &schedules).await;
    db.travel_to("2030-01-10T03:30:00Z").await;
    // It stands still in the first of three ticks, and its lease ends.
    let gate = Arc::new(Semaphore::new(0));
    *clockwork.fire_gate.lock().unwrap() = Some(gate.clone());
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
    // One tick it holds already, and any number would pass; it goes on as the leader it no longer is.
    gate.add_permits(10);
    assert_eq!(sleeper.await.unwrap(), 1);
    let next = takeover.await.unwrap();
    assert_eq!(Scheduler::new(schedules).run_once(&next).await.unwrap(), 2);
    assert_eq!(db.labels().await, ["a 01-10T01:00:00", "a 01-10T02:00:00", "a 01-10T03:00:00"]);
}

#[tokio::test]
async fn a_tick_whose_transaction_is_rolled_back_fires_later() {
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
async fn one_process_looks_again_after_a_failure_and_at_the_next_tick() {
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
async fn a_pause_that_comes_between_look_and_fire_holds() {
    let db = TestDb::new().await;
    let ticking = Ticking::hourly("a").per_tenant(&[("", "UTC")]);
    let clockwork = ticking.clockwork();
    let schedules = Schedules::default().with(ticking);
    db.fire_at("2030-01-10T00:30:00Z", &schedules).await;
    db.travel_to("2030-01-10T01:00:01Z").await;
    let gate = Arc::new(Semaphore::new(0));
    *clockwork.gate.lock().unwrap() = Some(gate.clone());
    let (leader, looks) = (leader(&db).await, Scheduler::new(schedules.clone()));
    let looking = tokio::spawn(async move { looks.run_once(&leader).await.unwrap() });
    // It comes to the gate when it has read the settings.
    until_at(&gate, 1).await;
    db.change(&schedules, "a", Change { enabled: Some(false), ..Change::default() }).await;
    gate.add_permits(1);
    assert_eq!(looking.await.unwrap(), 0);
    assert!(db.labels().await.is_empty());
}

/// Until so many wait at the gate.
async fn until_at(gate: &Arc<Semaphore>, waiting: usize) {
    // Besides theirs, the test's and the schedule's.
    while Arc::strong_count(gate) < 2 + waiting {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_key_alone_makes_a_tick_fire_once() {
    let db = TestDb::new().await;
    let ticking = Ticking::hourly("a").per_tenant(&[("", "UTC")]);
    let clockwork = ticking.clockwork();
    let schedules = Schedules::default().with(ticking);
    db.fire_at("2030-01-10T00:30:00Z", &schedules).await;
    db.travel_to("2030-01-10T01:00:01Z").await;
    let gate = Arc::new(Semaphore::new(0));
    *clockwork.gate.lock().unwrap() = Some(gate.clone());
    // One lease for all of them, so that it refuses none.
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
async fn a_schedule_that_breaks_does_not_stop_the_others() {
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
