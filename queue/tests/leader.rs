//! One leader among many workers: the lease is taken, renewed, given up, lost.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use weirgate_queue::worker::leader::{Leader, TransactionSource};
use weirgate_test_support::{Probe, TestDb, TestWorker, leader};

async fn term(pool: &PgPool) -> i64 {
    sqlx::query_scalar("select term from queue.leader").fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn one_of_two_candidates_leads_until_it_resigns() {
    let db = TestDb::new().await;
    let (a, b) = (leader(&db).await, leader(&db).await);
    assert_eq!((a.leads(), b.leads(), term(&db.pool).await), (true, false, 1));
    assert!(b.begin().await.unwrap().is_none());
    db.travel(Duration::from_secs(50)).await;
    assert!(a.run_once().await.unwrap());
    db.travel(Duration::from_secs(50)).await;
    assert!(!b.run_once().await.unwrap(), "the lease was renewed");
    assert_eq!(term(&db.pool).await, 1, "a renewal is no change of hands");
    a.resign().await.unwrap();
    assert!(a.begin().await.unwrap().is_none());
    assert!(b.run_once().await.unwrap(), "at once, with no lease to wait for");
    assert_eq!(term(&db.pool).await, 2);
}

#[tokio::test]
async fn many_candidates_elect_one_leader() {
    let db = TestDb::new().await;
    let candidates: Vec<_> =
        (0..8).map(|_| Arc::new(Leader::new(db.pool.clone(), "test", Duration::from_mins(1)))).collect();
    for round in 1..=5 {
        let at_once =
            candidates.iter().cloned().map(|it| tokio::spawn(async move { it.run_once().await.unwrap() }));
        let mut leaders = 0;
        for candidate in at_once.collect::<Vec<_>>() {
            leaders += i64::from(candidate.await.unwrap());
        }
        assert_eq!((leaders, term(&db.pool).await), (1, round));
        db.travel(Duration::from_mins(2)).await;
    }
}

#[tokio::test]
async fn leader_suspended_past_its_lease_begins_no_transaction() {
    let db = TestDb::new().await;
    let sleeper = leader(&db).await;
    db.travel(Duration::from_secs(61)).await;
    let next = leader(&db).await;
    assert!(next.leads() && sleeper.leads(), "it does not know yet");
    assert!(sleeper.begin().await.unwrap().is_none());
    assert!(!sleeper.leads() && !sleeper.run_once().await.unwrap());
    assert!(next.begin().await.unwrap().is_some());
}

#[tokio::test]
async fn leader_suspended_past_its_lease_begins_no_transaction_even_without_a_successor() {
    let db = TestDb::new().await;
    let sleeper = leader(&db).await;
    db.travel(Duration::from_secs(61)).await;
    assert!(sleeper.begin().await.unwrap().is_none());
    assert!(sleeper.run_once().await.unwrap());
    assert_eq!(term(&db.pool).await, 2, "what began under the old term stays without effect");
}

#[tokio::test]
async fn takeover_waits_for_an_open_transaction_and_a_renewal_does_not() {
    let db = TestDb::new().await;
    let (a, b) = (leader(&db).await, leader(&db).await);
    let mut act = a.begin().await.unwrap().unwrap();
    sqlx::query("create table acted (x integer)").execute(&mut *act).await.unwrap();
    assert!(a.run_once().await.unwrap(), "the renewal does not wait");
    db.travel(Duration::from_secs(61)).await;
    let takeover = tokio::spawn(async move { b.run_once().await.unwrap() });
    let waiting = "select count(*) from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock' and query like '%queue.leader%'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&db.pool).await.unwrap() == 0 {
        assert!(!takeover.is_finished(), "nobody takes over in the middle of an act");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    act.commit().await.unwrap();
    assert!(takeover.await.unwrap());
    sqlx::query("select x from acted").fetch_all(&db.pool).await.unwrap();
}

#[tokio::test]
async fn leader_suspended_in_a_transaction_loses_both_lease_and_transaction() {
    let db = TestDb::new().await;
    let sleeper = Leader::new(db.pool.clone(), "test", Duration::from_secs(2));
    assert!(sleeper.run_once().await.unwrap());
    let mut act = sleeper.begin().await.unwrap().expect("within two seconds");
    sqlx::query("create table acted (x integer)").execute(&mut *act).await.unwrap();
    let next = Leader::new(db.pool.clone(), "test", Duration::from_mins(1));
    while !next.run_once().await.unwrap() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(act.commit().await.is_err());
    assert!(sqlx::query("select x from acted").fetch_all(&db.pool).await.is_err(), "it was undone");
}

#[tokio::test]
async fn another_worker_leads_when_the_leading_one_stops() {
    let db = TestDb::new().await;
    let probe = Probe::new(db.pool.clone());
    let holder = async || -> Option<uuid::Uuid> {
        sqlx::query_scalar("select holder from queue.leader").fetch_one(&db.pool).await.unwrap()
    };
    let until = async |leads: fn(Option<uuid::Uuid>) -> bool| {
        for _ in 0..400 {
            let holder = holder().await;
            if leads(holder) {
                return holder;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{:?} leads", holder().await)
    };
    let first = TestWorker::start(&db, &probe);
    let before = until(|holder| holder.is_some()).await;
    let second = TestWorker::start(&db, &probe);
    first.stop().await;
    let after = until(|holder| holder.is_some()).await;
    assert_ne!(before, after);
    assert_eq!(term(&db.pool).await, 2);
    second.stop().await;
    assert_eq!(holder().await, None);
}
