//! What the schedules enqueue.

use weirgate_msp::{DailyPipeline, enqueue_daily_pipeline, schedules};
use weirgate_test_support::{TestDb, tenant};

use crate::support::database;

/// Tenant and date of the exports enqueued so far, in order.
async fn exports(db: &TestDb) -> Vec<(String, String)> {
    sqlx::query_as(
        "select t.slug, j.args ->> 'date' from queue.jobs j join identity.tenants t on t.id = (j.args ->> 'tenant')::uuid
         where j.kind = 'generate_export' order by j.seq",
    )
    .fetch_all(&db.pool)
    .await
    .unwrap()
}

fn expected(runs: &[(&str, &str)]) -> Vec<(String, String)> {
    runs.iter().map(|(tenant, date)| ((*tenant).to_owned(), (*date).to_owned())).collect()
}

#[tokio::test]
async fn each_active_tenants_day_is_worked_out_after_its_midnight() {
    let db = database().await;
    for (slug, zone) in [("auckland", "Pacific/Auckland"), ("lima", "America/Lima"), ("utc", "UTC")] {
        tenant(&db.pool, slug, zone).await;
    }
    let gone = tenant(&db.pool, "gone", "UTC").await;
    sqlx::query("update identity.tenants set is_active = false where id = $1")
        .bind(gone.id)
        .execute(&db.pool)
        .await
        .unwrap();
    assert_eq!(db.fire_at("2030-01-10T12:00:00Z", &schedules()).await, 0);
    for hour in 12..36 {
        let (day, hour) = (10 + hour / 24, hour % 24);
        db.fire_at(&format!("2030-01-{day}T{hour:02}:14:59Z"), &schedules()).await;
        db.fire_at(&format!("2030-01-{day}T{hour:02}:15:01Z"), &schedules()).await;
    }
    let runs = [("utc", "2030-01-10"), ("lima", "2030-01-10"), ("auckland", "2030-01-11")];
    assert_eq!(exports(&db).await, expected(&runs));
    let jobs: i64 = sqlx::query_scalar("select count(*) from queue.jobs").fetch_one(&db.pool).await.unwrap();
    assert_eq!(jobs, 3 * 6, "the whole pipeline");
    let linked: i64 = sqlx::query_scalar(
        "select count(*) from queue.schedule_ticks t join queue.jobs j on j.id = t.job_id
         where j.kind = 'generate_export' and j.tenant_id = t.tenant_id",
    )
    .fetch_one(&db.pool)
    .await
    .unwrap();
    assert_eq!(linked, 3);
}

#[tokio::test]
async fn nights_that_were_missed_are_made_up_for() {
    let db = database().await;
    tenant(&db.pool, "utc", "UTC").await;
    db.fire_at("2030-01-10T12:00:00Z", &schedules()).await;
    assert_eq!(db.fire_at("2030-01-13T12:00:00Z", &schedules()).await, 3);
    let runs = [("utc", "2030-01-10"), ("utc", "2030-01-11"), ("utc", "2030-01-12")];
    assert_eq!(exports(&db).await, expected(&runs));
    assert_eq!(db.fire_at("2030-02-13T12:00:00Z", &schedules()).await, 7, "but not a whole month");
}

#[tokio::test]
async fn a_tenant_that_is_new_has_no_past() {
    let db = database().await;
    db.fire_at("2030-01-10T12:00:00Z", &schedules()).await;
    db.travel_to("2030-01-13T12:00:00Z").await;
    let tenant = tenant(&db.pool, "utc", "UTC").await;
    sqlx::query("update identity.tenants set created_at = queue.now() where id = $1")
        .bind(tenant.id)
        .execute(&db.pool)
        .await
        .unwrap();
    assert_eq!(db.fire_at("2030-01-13T12:01:00Z", &schedules()).await, 0);
    assert_eq!(db.fire_at("2030-01-14T00:15:00Z", &schedules()).await, 1);
}

#[tokio::test]
async fn another_zone_for_the_schedule_does_not_change_which_day_ended() {
    let db = database().await;
    tenant(&db.pool, "auckland", "Pacific/Auckland").await;
    db.fire_at("2030-01-10T12:00:00Z", &schedules()).await;
    let change = weirgate_queue::schedule::ScheduleChange {
        time_zone: Some(Some("UTC".to_owned())),
        ..Default::default()
    };
    db.change(&schedules(), "daily_pipeline", change).await;
    // 00:15 in UTC is 13:15 of the 11th in Auckland.
    assert_eq!(db.fire_at("2030-01-11T00:15:00Z", &schedules()).await, 1);
    assert_eq!(exports(&db).await, expected(&[("auckland", "2030-01-10")]));
}

#[tokio::test]
async fn a_night_with_two_midnights_or_none_has_its_day() {
    let db = database().await;
    for (slug, zone) in [("azores", "Atlantic/Azores"), ("santiago", "America/Santiago")] {
        tenant(&db.pool, slug, zone).await;
    }
    db.fire_at("2027-09-04T12:00:00Z", &schedules()).await;
    // In Santiago, 00:00 is 01:00 on the 5th, which is 04:00 in UTC.
    assert_eq!(db.fire_at("2027-09-05T03:59:59Z", &schedules()).await, 1, "the Azores");
    assert_eq!(db.fire_at("2027-09-05T04:00:01Z", &schedules()).await, 1);
    let runs = [("azores", "2027-09-04"), ("santiago", "2027-09-04")];
    assert_eq!(exports(&db).await, expected(&runs));
    sqlx::raw_sql("delete from queue.jobs; delete from identity.tenants where slug = 'santiago'")
        .execute(&db.pool)
        .await
        .unwrap();
    // In the Azores, 00:15 comes at 00:15 and at 01:15 in UTC.
    db.fire_at("2027-10-30T12:00:00Z", &schedules()).await;
    sqlx::raw_sql("delete from queue.jobs").execute(&db.pool).await.unwrap();
    assert_eq!(db.fire_at("2027-10-31T00:15:01Z", &schedules()).await, 1);
    assert_eq!(exports(&db).await, expected(&[("azores", "2027-10-30")]));
    let is_over: bool =
        sqlx::query_scalar("select identity.local_day_start('2027-10-31', 'Atlantic/Azores') <= queue.now()")
            .fetch_one(&db.pool)
            .await
            .unwrap();
    assert!(is_over, "the day ended before its tick");
    assert_eq!(db.fire_at("2027-10-31T01:15:01Z", &schedules()).await, 0, "it comes once");
}

#[tokio::test]
async fn after_a_day_that_was_left_out_the_one_before_it_is_worked_out() {
    let db = database().await;
    db.travel_to("2011-12-30T09:00:00Z").await;
    tenant(&db.pool, "samoa", "Pacific/Apia").await;
    sqlx::query("update identity.tenants set created_at = '2011-01-01'").execute(&db.pool).await.unwrap();
    // The 29th was followed by the 31st.
    db.fire_at("2011-12-30T09:30:00Z", &schedules()).await;
    assert_eq!(db.fire_at("2011-12-30T10:15:01Z", &schedules()).await, 1);
    assert_eq!(exports(&db).await, expected(&[("samoa", "2011-12-29")]));
}

#[tokio::test]
async fn a_pipeline_from_before_the_days_end_does_not_stand_for_the_whole_day() {
    let db = database().await;
    let tenant = tenant(&db.pool, "utc", "UTC").await;
    let by_hand = async |at: &str, date: &str| {
        db.travel_to(at).await;
        let pipeline = DailyPipeline::new(&tenant, date.parse().unwrap(), |job| job).unwrap();
        enqueue_daily_pipeline(&mut db.pool.acquire().await.unwrap(), pipeline, false).await.unwrap()
    };
    db.fire_at("2030-01-10T12:00:00Z", &schedules()).await;
    // Both are still on their way when the tick comes: one from the day itself, one from after its
    // end.
    assert!(!by_hand("2030-01-10T23:59:00Z", "2030-01-10").await.duplicate);
    assert_eq!(db.fire_at("2030-01-11T00:15:01Z", &schedules()).await, 1);
    assert_eq!(exports(&db).await, expected(&[("utc", "2030-01-10"), ("utc", "2030-01-10")]));
    assert!(!by_hand("2030-01-12T00:05:00Z", "2030-01-11").await.duplicate);
    assert_eq!(db.fire_at("2030-01-12T00:15:01Z", &schedules()).await, 1);
    assert_eq!(exports(&db).await.len(), 3, "the day was over when that one began");
}
