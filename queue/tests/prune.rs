//! Which rows the pruner keeps and which it deletes.

use std::time::Duration;

use sqlx::PgPool;
use uuid::Uuid;
use weirgate_queue::schedule::Schedules;
use weirgate_queue::worker::{Retention, claim, pruner, rescuer};
use weirgate_queue::{NewJob, OnFailure, Workflow};
use weirgate_test_support::{Does, Step, TestDb, Ticking, leader};

const DAY: Duration = Duration::from_hours(24);

async fn end(pool: &PgPool, job: Uuid, state: &str) {
    sqlx::query(
        "update queue.jobs set state = $2::queue.job_state, finalized_at = queue.now() where id = $1",
    )
    .bind(job)
    .bind(state)
    .execute(pool)
    .await
    .unwrap();
}

async fn count(pool: &PgPool) -> i64 {
    sqlx::query_scalar("select count(*) from queue.jobs").fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn finished_jobs_are_deleted_after_their_retention_and_live_ones_never() {
    let db = TestDb::new().await;
    let enqueue = async |label: &str| db.enqueue(Uuid::nil(), &Step::new(label, Does::Succeed)).await.id;
    let live = enqueue("live").await;
    let ended_late = enqueue("late").await;
    for state in ["completed", "cancelled", "discarded"] {
        end(&db.pool, enqueue(state).await, state).await;
    }
    let retention = Retention::default();
    db.travel(DAY * 29).await;
    assert_eq!(pruner::run_once(&db.pool, retention).await.unwrap(), 0);
    end(&db.pool, ended_late, "completed").await;
    db.travel(DAY).await;
    assert_eq!(pruner::run_once(&db.pool, retention).await.unwrap(), 2, "by their end, not their beginning");
    db.travel(DAY * 60).await;
    assert_eq!(pruner::run_once(&db.pool, retention).await.unwrap(), 2);
    assert_eq!(count(&db.pool).await, 1);
    db.job(live).await;
}

#[tokio::test]
async fn parents_are_kept_while_their_child_may_run() {
    let db = TestDb::new().await;
    let parent = NewJob::of(Uuid::nil(), &Step::new("parent", Does::Succeed)).unwrap();
    let child = NewJob::of(Uuid::nil(), &Step::new("child", Does::Succeed)).unwrap();
    let child = child.after(parent.id, OnFailure::Cancel);
    let (parent, child) = (db.enqueue_new(parent).await.id, db.enqueue_new(child).await.id);
    end(&db.pool, parent, "completed").await;
    db.travel(DAY * 31).await;
    assert_eq!(pruner::run_once(&db.pool, Retention::default()).await.unwrap(), 0);
    end(&db.pool, child, "discarded").await;
    db.travel(DAY * 31).await;
    assert_eq!(pruner::run_once(&db.pool, Retention::default()).await.unwrap(), 0, "it can be retried");
    end(&db.pool, child, "completed").await;
    db.travel(DAY * 31).await;
    assert_eq!(pruner::run_once(&db.pool, Retention::default()).await.unwrap(), 2);
}

#[tokio::test]
async fn many_jobs_are_deleted_in_batches() {
    let db = TestDb::new().await;
    sqlx::query(
        "insert into queue.jobs (id, tenant_id, queue, kind, state, max_attempts, args, created_at, scheduled_at,
            finalized_at)
         select gen_random_uuid(), gen_random_uuid(), 'default', 'step',
            (case when n % 10 = 0 then 'available' else 'completed' end)::queue.job_state, 1, '{}',
            queue.now(), queue.now(), queue.now()
         from generate_series(1, 3500) n",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    db.travel(DAY * 31).await;
    db.enqueue(Uuid::nil(), &Step::new("young", Does::Succeed)).await;
    assert_eq!(pruner::run_once(&db.pool, Retention::default()).await.unwrap(), 3150);
    assert_eq!(count(&db.pool).await, 351);
}

#[tokio::test]
async fn newest_tick_is_kept_so_that_none_fires_again() {
    let db = TestDb::new().await;
    let schedules = Schedules::default().with(Ticking::hourly("a"));
    db.fire_at("2030-01-10T00:30:00Z", &schedules).await;
    for hour in 1..=5 {
        assert_eq!(db.fire_at(&format!("2030-01-10T0{hour}:00:00Z"), &schedules).await, 1);
    }
    db.travel(DAY * 31).await;
    assert_eq!(pruner::run_once(&db.pool, Retention::default()).await.unwrap(), 4);
    let ticks = db.ticks().await;
    assert_eq!((ticks.len(), ticks[0].1.to_rfc3339().as_str()), (1, "2030-01-10T05:00:00+00:00"));
}

#[tokio::test]
async fn former_leader_deletes_and_rescues_nothing() {
    let db = TestDb::new().await;
    let leader = leader(&db).await;
    end(&db.pool, db.enqueue(Uuid::nil(), &Step::new("a", Does::Succeed)).await.id, "completed").await;
    db.enqueue(Uuid::nil(), &Step::new("lost", Does::Succeed)).await;
    let worker = db.register_worker().await;
    claim(&mut db.pool.acquire().await.unwrap(), worker, "default", 1).await.unwrap();
    db.travel(DAY * 31).await;
    for (leads, count) in [(false, 0), (true, 1)] {
        assert!(!leads || leader.run_once().await.unwrap());
        assert_eq!(rescuer::run_once(&leader).await.unwrap(), count);
        // The job and the worker's registration.
        assert_eq!(pruner::run_once(&leader, Retention::default()).await.unwrap(), 2 * count);
    }
}

#[tokio::test]
async fn workflows_row_is_deleted_after_its_last_job() {
    let db = TestDb::new().await;
    let job = |label: &str| NewJob::of(Uuid::nil(), &Step::new(label, Does::Succeed)).unwrap();
    let mut workflow = Workflow::named("pair").about("2026-01-20");
    let id = workflow.id();
    workflow.add("first", job("first"));
    workflow.add("second", job("second"));
    let jobs = workflow.enqueue(&mut db.pool.acquire().await.unwrap()).await.unwrap();
    let titled = async || -> i64 {
        sqlx::query_scalar("select count(*) from queue.workflows where id = $1")
            .bind(id)
            .fetch_one(&db.pool)
            .await
            .unwrap()
    };
    end(&db.pool, jobs[0].id, "completed").await;
    db.travel(DAY * 31).await;
    pruner::run_once(&db.pool, Retention::default()).await.unwrap();
    assert_eq!((count(&db.pool).await, titled().await), (1, 1));
    end(&db.pool, jobs[1].id, "discarded").await;
    db.travel(DAY * 31).await;
    pruner::run_once(&db.pool, Retention::default()).await.unwrap();
    assert_eq!((count(&db.pool).await, titled().await), (1, 1), "somebody may want to retry it");
    db.travel(DAY * 60).await;
    pruner::run_once(&db.pool, Retention::default()).await.unwrap();
    assert_eq!((count(&db.pool).await, titled().await), (0, 0));
}
