//! A primary that is lost, and what takes its place: a standby that had received everything, one
//! that had not, and a backup that is recovered to a point in time.

use std::time::Instant;

use crate::haproxy::Haproxy;
use crate::profile::{long, times};
use crate::scene::{Plan, Scene};
use crate::server::{DATABASE, Server};

fn some() -> i64 {
    i64::try_from(times(200, 1000)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promote() {
    let primary = Server::with_database().await;
    let mut scene = Scene::of(Plan::new("promotion that lost the last seconds"), &primary).await.with_load();
    scene.headway(some()).await;
    let standby = primary.copy(true);
    standby.go("");
    primary.until("exists (select from pg_stat_replication where state = 'streaming')").await;
    scene.headway(some()).await;
    // It hears nothing more, and the primary goes on.
    standby.sql("postgres", "alter system set primary_conninfo = ''").await;
    standby.sql("postgres", "select pg_reload_conf()").await;
    primary.until("not exists (select from pg_stat_replication)").await;
    scene.headway(some()).await;
    scene.stop_load().await;
    primary.lose();
    standby.promote().await;
    let lost = scene.lives_on(&standby).await;
    assert!(lost > 0, "the standby had received everything");
    let scene = scene.with_load();
    scene.headway(some()).await;
    scene.end(&format!("asynchronous standby, {lost} acknowledged jobs lost with the server")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promote_synchronous() {
    if !long() {
        return;
    }
    let primary = Server::with_database().await;
    let mut scene = Scene::of(Plan::new("promotion of a synchronous standby"), &primary).await.with_load();
    scene.headway(some()).await;
    let standby = primary.copy(true);
    standby.go("");
    primary.sql("postgres", "alter system set synchronous_standby_names = '*'").await;
    primary.sql("postgres", "select pg_reload_conf()").await;
    primary.until("exists (select from pg_stat_replication where sync_state = 'sync')").await;
    scene.headway(some()).await;
    primary.lose();
    scene.stop_load().await;
    standby.promote().await;
    let lost = scene.lives_on(&standby).await;
    assert_eq!(lost, 0, "acknowledged jobs were lost with the primary");
    let scene = scene.with_load();
    scene.headway(some()).await;
    scene.end("synchronous standby, 0 acknowledged jobs lost with the server").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recover_to_a_point_in_time() {
    if !long() {
        return;
    }
    let primary = Server::with_database().await;
    let mut scene = Scene::of(Plan::new("recovery to a point in time"), &primary).await.with_load();
    scene.headway(some()).await;
    let backup = primary.copy(false);
    scene.headway(some()).await;
    primary.sql(DATABASE, "select pg_create_restore_point('here')").await;
    scene.headway(some()).await;
    scene.stop_load().await;
    primary.lose();
    std::fs::write(backup.data().join("recovery.signal"), "").unwrap();
    let wal = primary.data().join("pg_wal");
    backup.go(&format!(
        "-c restore_command='cp {}/%f %p' -c recovery_target_name=here -c recovery_target_action=promote",
        wal.display()
    ));
    backup.until("not pg_is_in_recovery()").await;
    let lost = scene.lives_on(&backup).await;
    assert!(lost > 0, "nothing came after the point");
    let scene = scene.with_load();
    scene.headway(some()).await;
    scene.end(&format!("{lost} jobs enqueued after the point")).await;
}

/// With the configuration that `deploy/haproxy` has, and nobody who leads clients elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promote_behind_haproxy() {
    if !long() || !Haproxy::is_installed() {
        return;
    }
    let primary = Server::with_database().await;
    let scene = Scene::of(Plan::new("promotion behind haproxy"), &primary).await;
    let standby = primary.copy(true);
    standby.go("");
    let haproxy = Haproxy::start([&primary, &standby]).await;
    scene.lead_to(haproxy.port());
    primary.sql("postgres", "alter system set synchronous_standby_names = '*'").await;
    primary.sql("postgres", "select pg_reload_conf()").await;
    primary.until("exists (select from pg_stat_replication where sync_state = 'sync')").await;
    let mut scene = scene.with_load();
    scene.headway(some()).await;
    let lost_at = Instant::now();
    primary.lose();
    standby.promote().await;
    assert_eq!(scene.goes_on_with(&standby).await, 0, "acknowledged jobs were lost with the primary");
    scene.headway(1).await;
    let away = lost_at.elapsed();
    scene.stop_load().await;
    let scene = scene.with_load();
    scene.headway(some()).await;
    let counts =
        format!("0 acknowledged jobs lost, running again {:.1} s after the loss", away.as_secs_f64());
    scene.end(&counts).await;
}
