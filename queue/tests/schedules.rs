//! Which ticks are due: missed ticks, pauses, tenants, time zones, changed clocks.

use std::time::Duration;

use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_queue::lanes::reconcile;
use weirgate_queue::schedule::{MAX_TENANTS_PER_RUN, Missed, ScheduleChange, Schedules, overview, run_now};
use weirgate_queue::worker::claim;
use weirgate_test_support::{Does, Probe, Step, TestDb, TestWorker, Ticking};

#[tokio::test]
async fn missed_ticks_fire_as_the_policy_says() {
    let db = TestDb::new().await;
    let schedules = Schedules::default()
        .with(Ticking::hourly("skip").missed(Missed::Skip))
        .with(Ticking::hourly("one").missed(Missed::One))
        .with(Ticking::hourly("all").missed(Missed::All));
    assert_eq!(db.fire_at("2030-01-10T00:30:00Z", &schedules).await, 0, "none of the past is theirs");
    assert_eq!(db.fire_at("2030-01-13T00:30:00Z", &schedules).await, 4);
    let mut labels = db.labels().await;
    labels.sort();
    let made_up = ["all 01-12T22:00:00", "all 01-12T23:00:00", "all 01-13T00:00:00", "one 01-13T00:00:00"];
    assert_eq!(labels, made_up);
    // Ticks that were skipped stay skipped under any other policy.
    let all = ScheduleChange { missed: Some(Missed::All), ..ScheduleChange::default() };
    for name in ["skip", "one"] {
        db.change(&schedules, name, all.clone()).await;
    }
    assert_eq!(db.fire_at("2030-01-13T00:31:00Z", &schedules).await, 0);
    assert_eq!(db.fire_at("2030-01-13T01:00:59Z", &schedules).await, 3, "these are in time");
}

#[tokio::test]
async fn tick_in_time_replaces_missed_ones_under_policy_one() {
    let db = TestDb::new().await;
    let schedules = Schedules::default()
        .with(Ticking::hourly("skip").missed(Missed::Skip))
        .with(Ticking::hourly("one").missed(Missed::One))
        .with(Ticking::hourly("all").missed(Missed::All));
    db.fire_at("2030-01-10T00:30:00Z", &schedules).await;
    assert_eq!(db.fire_at("2030-01-10T04:00:01Z", &schedules).await, 1 + 1 + 4);
    assert_eq!(db.fire_at("2030-01-10T04:30:00Z", &schedules).await, 0);
}

#[tokio::test]
async fn resumed_schedule_fires_only_later_ticks() {
    let db = TestDb::new().await;
    let schedules = Schedules::default().with(Ticking::hourly("a").missed(Missed::All));
    db.fire_at("2030-01-10T00:30:00Z", &schedules).await;
    db.change(&schedules, "a", ScheduleChange { enabled: Some(false), ..ScheduleChange::default() }).await;
    assert_eq!(db.fire_at("2030-01-10T01:00:00Z", &schedules).await, 0);
    db.travel_to("2030-01-10T03:30:00Z").await;
    db.change(&schedules, "a", ScheduleChange { enabled: Some(true), ..ScheduleChange::default() }).await;
    assert_eq!(db.fire_at("2030-01-10T03:31:00Z", &schedules).await, 0, "not what was missed while paused");
    assert_eq!(db.fire_at("2030-01-10T04:00:00Z", &schedules).await, 1);
    // A new cron expression counts from when it was set.
    let change = ScheduleChange { cron: Some("0 */10 * * * *".to_owned()), ..ScheduleChange::default() };
    db.change(&schedules, "a", change).await;
    assert_eq!(db.fire_at("2030-01-10T04:10:00Z", &schedules).await, 1);
    assert_eq!(db.labels().await, ["a 01-10T04:00:00", "a 01-10T04:10:00"]);
}

#[tokio::test]
async fn operators_settings_survive_a_new_version() {
    let db = TestDb::new().await;
    let old = Schedules::default().with(Ticking::hourly("a"));
    db.fire_at("2030-01-10T00:30:00Z", &old).await;
    let change =
        ScheduleChange { time_zone: Some(Some("Asia/Kolkata".to_owned())), ..ScheduleChange::default() };
    db.change(&old, "a", change).await;
    let new =
        Schedules::default().with(Ticking::hourly("a").cron("0 0 */2 * * *")).with(Ticking::hourly("b"));
    assert_eq!(db.fire_at("2030-01-10T01:00:00Z", &new).await, 0, "b is new");
    assert_eq!(db.fire_at("2030-01-10T01:30:00Z", &new).await, 1, "India's hours begin at half past");
    let all = overview(&mut db.pool.acquire().await.unwrap(), &new).await.unwrap();
    let names: Vec<_> = all.iter().map(|it| it.definition.name).collect();
    assert_eq!(names, ["a", "b", "prune", "reconcile", "rescue"]);
    assert_eq!(all[0].settings.cron, "0 0 * * * *", "a default counts on first sight only");
}

#[tokio::test]
async fn each_tenant_has_its_own_midnight() {
    let db = TestDb::new().await;
    let nightly = Ticking::hourly("at").cron("0 0 0 * * *");
    let zones = [(" Tokyo", "Asia/Tokyo"), (" Paris", "Europe/Paris"), (" Lima", "America/Lima")];
    let schedules = Schedules::default().with(nightly.per_tenant(&zones));
    db.fire_at("2030-01-10T12:00:00Z", &schedules).await;
    for hour in 13..37 {
        db.fire_at(&format!("2030-01-{}T{:02}:00:05Z", 10 + hour / 24, hour % 24), &schedules).await;
    }
    let midnights = ["at Tokyo 01-10T15:00:00", "at Paris 01-10T23:00:00", "at Lima 01-11T05:00:00"];
    assert_eq!(db.labels().await, midnights);
}

#[tokio::test]
async fn tenant_that_changes_its_zone_misses_no_day() {
    let db = TestDb::new().await;
    let nightly = Ticking::hourly("at").cron("0 0 0 * * *").per_tenant(&[("", "America/New_York")]);
    let clockwork = nightly.clockwork();
    let schedules = Schedules::default().with(nightly);
    db.fire_at("2030-01-10T05:00:00Z", &schedules).await;
    // Midnight of the 11th is past in Tokyo, and has not come yet in New York.
    db.travel_to("2030-01-10T20:00:00Z").await;
    "Asia/Tokyo".clone_into(&mut clockwork.tenants.lock()[0].time_zone);
    assert_eq!(db.fire_at("2030-01-10T20:00:00Z", &schedules).await, 1);
    assert_eq!(db.labels().await, ["at 01-10T15:00:00"]);
}

#[tokio::test]
async fn day_on_which_clocks_change_has_one_tick() {
    let db = TestDb::new().await;
    let nightly = Ticking::hourly("at").cron("0 30 2 * * *").missed(Missed::All);
    let schedules = Schedules::default().with(nightly.per_tenant(&[("", "Europe/Berlin")]));
    for (month, last_sunday) in [("03", 31), ("10", 27)] {
        for day in last_sunday - 1..=last_sunday {
            for hour in 0..24 {
                db.fire_at(&format!("2030-{month}-{day}T{hour:02}:30:00Z"), &schedules).await;
            }
        }
        db.change(&schedules, "at", ScheduleChange { enabled: Some(false), ..ScheduleChange::default() })
            .await;
        db.travel_to("2030-10-25T23:00:00Z").await;
        db.change(&schedules, "at", ScheduleChange { enabled: Some(true), ..ScheduleChange::default() })
            .await;
    }
    // 02:30 in winter is 01:30 UTC; in the night of spring it comes at 03:00 summer time, which is
    // 01:00 UTC; in summer it is 00:30 UTC, also the first of the two of the autumn night.
    let expected = ["at 03-30T01:30:00", "at 03-31T01:00:00", "at 10-26T00:30:00", "at 10-27T00:30:00"];
    assert_eq!(db.labels().await, expected);
}

#[tokio::test]
async fn next_runs_are_listed_for_each_tenant() {
    let db = TestDb::new().await;
    let zones = [("paris", "Europe/Paris"), ("utc", "UTC")];
    let nightly = Ticking::hourly("at").cron("0 15 0 * * *").per_tenant(&zones);
    let schedules = Schedules::default().with(nightly).with(Ticking::hourly("hourly"));
    db.travel_to("2030-03-29T23:30:00Z").await;
    let mut all = overview(&mut db.pool.acquire().await.unwrap(), &schedules).await.unwrap();
    let at: Vec<_> = all[0]
        .next_runs
        .iter()
        .map(|run| format!("{} {}", run.at.format("%dT%H:%M"), run.tenant.as_ref().unwrap().1))
        .collect();
    let expected = [
        "30T00:15 utc",
        "30T23:15 paris",
        "31T00:15 utc",
        "31T22:15 paris",
        "01T00:15 utc",
        "01T22:15 paris",
    ];
    assert_eq!((&at[..6], at.len()), (&expected.map(str::to_owned)[..], 10));
    let hourly = all.remove(1).next_runs;
    assert_eq!(hourly.len(), 10);
    assert!(hourly.windows(2).all(|pair| pair[0].at < pair[1].at && pair[0].tenant.is_none()));
}

#[tokio::test]
async fn leader_corrects_counts_with_discrepancies() {
    let db = TestDb::new().await;
    sqlx::query(
        "insert into queue.lane_log (queue, tenants, backfills, priorities, states, changes, lowest)
         values ('default', array[$1], '{null}', '{0}', '{running}', '{2}', '{null}')",
    )
    .bind(Uuid::nil())
    .execute(&db.pool)
    .await
    .unwrap();
    let worker = TestWorker::start(&db, &Probe::new(db.pool.clone()));
    let done = "select upkeep_at from queue.schedules where name = 'reconcile' and upkeep_at is not null";
    while sqlx::query(done).fetch_optional(&db.pool).await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    worker.stop().await;
    let mut conn = db.pool.acquire().await.unwrap();
    assert_eq!(reconcile::run_once(&mut conn, "default").await.unwrap(), Vec::new(), "it was repaired");
}

#[tokio::test]
async fn worker_fires_its_schedules_and_a_paused_rescue_leaves_lost_jobs_running() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let schedules = Schedules::default().with(Ticking::hourly("a").cron("* * * * * *"));
    db.change(&schedules, "rescue", ScheduleChange { enabled: Some(false), ..ScheduleChange::default() })
        .await;
    let dead = db.register_worker().await;
    let lost = db.enqueue(Uuid::nil(), &Step::new("lost", Does::Succeed)).await.id;
    claim(&mut db.pool.acquire().await.unwrap(), dead, "default", 1).await.unwrap();
    sqlx::query("delete from queue.workers").execute(&db.pool).await.unwrap();
    let worker = TestWorker::start_with(&db, &probe, |config| config.schedules = schedules.clone());
    while db.ticks().await.len() < 3 {
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(db.job(lost).await.state(), JobState::Running, "for three seconds");
    db.change(&schedules, "rescue", ScheduleChange { enabled: Some(true), ..ScheduleChange::default() })
        .await;
    db.until(lost, JobState::Completed).await;
    worker.stop().await;
    let ticks = db.ticks().await;
    assert!(ticks.windows(2).all(|pair| (pair[1].1 - pair[0].1).num_seconds() == 1), "{ticks:?}");
}

#[tokio::test]
async fn requested_run_enqueues_what_a_tick_would_and_is_no_tick() {
    let db = TestDb::new().await;
    let ticking = Ticking::hourly("a").missed(Missed::All).per_tenant(&[("x", "UTC"), ("y", "UTC")]);
    let y = ticking.clockwork().tenants.lock()[1].id;
    let schedules = Schedules::default().with(ticking).with(Ticking::hourly("b"));
    db.fire_at("2030-01-10T00:30:00Z", &schedules).await;
    db.travel_to("2030-01-10T01:20:00Z").await;
    let mut conn = db.pool.acquire().await.unwrap();
    let mut run = async |name: &str, tenant| {
        run_now(&mut conn, &schedules, name, tenant).await.map_err(|error| error.to_string())
    };
    // A paused schedule runs on request, too.
    db.change(&schedules, "b", ScheduleChange { enabled: Some(false), ..ScheduleChange::default() }).await;
    assert_eq!(run("a", None).await.unwrap().len(), 2);
    assert_eq!(run("a", Some(y)).await.unwrap().len(), 1);
    assert_eq!(run("b", None).await.unwrap().len(), 1);
    let minutes: Vec<String> = db.labels().await.iter().map(|label| label[..13].to_owned()).collect();
    assert_eq!(
        minutes,
        ["ax 01-10T01:20", "ay 01-10T01:20", "ay 01-10T01:20", "b 01-10T01:20"].map(|it| it[..13].to_owned())
    );
    assert!(run("a", Some(Uuid::now_v7())).await.unwrap_err().contains("does not run for this tenant"));
    assert!(run("b", Some(y)).await.unwrap_err().contains("does not run for single tenants"));
    assert!(
        run("prune", None).await.unwrap_err().contains("maintenance that the leading worker does itself")
    );
    assert!(run("c", None).await.unwrap_err().contains("no schedule \"c\""));
    assert!(db.ticks().await.is_empty(), "no tick is decided by it");
    assert_eq!(db.fire_at("2030-01-10T01:30:00Z", &schedules).await, 2, "what was due still fires");
}

#[tokio::test]
async fn failed_run_enqueues_nothing_and_too_many_tenants_are_refused() {
    let db = TestDb::new().await;
    let ticking = Ticking::hourly("a").per_tenant(&[("x", "UTC")]);
    let clockwork = ticking.clockwork();
    let schedules = Schedules::default().with(ticking);
    clockwork.fails.store(true, std::sync::atomic::Ordering::SeqCst);
    let mut tx = db.pool.begin().await.unwrap();
    assert!(run_now(&mut tx, &schedules, "a", None).await.is_err());
    drop(tx);
    assert!(db.labels().await.is_empty());
    let many =
        (0..=MAX_TENANTS_PER_RUN).map(|n| weirgate_test_support::scheduled_tenant(&format!("t{n}"), "UTC"));
    *clockwork.tenants.lock() = many.collect();
    let mut conn = db.pool.acquire().await.unwrap();
    let refused = run_now(&mut conn, &schedules, "a", None).await.unwrap_err();
    assert!(refused.to_string().contains("name one"), "{refused}");
}
