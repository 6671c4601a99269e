//! A move to another server by logical replication: rows come along, transaction ids and sequences
//! do not.

use crate::profile::{long, times};
use crate::scene::{Plan, Scene};
use crate::server::{DATABASE, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicate() {
    if !long() {
        return;
    }
    let some = i64::try_from(times(200, 1000)).unwrap();
    let source = Server::with_database().await;
    let mut scene = Scene::of(Plan::new("move by logical replication"), &source).await.with_load();
    scene.headway(some).await;
    let target = Server::with_database().await;
    // What the migrations have put there comes from the source.
    target
        .sql(
            DATABASE,
            "do $$ begin execute (
                select format('truncate %s cascade', string_agg(oid::regclass::text, ', ')) from pg_class
                where relkind = 'r' and relnamespace = any(array['queue', 'identity', 'msp', 'public']::regnamespace[])
             ); end $$",
        )
        .await;
    source.sql(DATABASE, "create publication everything for all tables").await;
    let from = format!("host=127.0.0.1 port={} user=weirgate dbname={DATABASE}", source.port());
    target
        .sql(DATABASE, &format!("create subscription move connection '{from}' publication everything"))
        .await;
    target.until("not exists (select from pg_subscription_rel where srsubstate <> 'r')").await;
    scene.headway(some).await;
    scene.stop_load().await;
    // Nobody writes there any more, so that all of it can arrive.
    scene.unplug();
    source.until("not exists (select from pg_stat_activity where client_port > 0 and backend_type = 'client backend' and pid <> pg_backend_pid() and state <> 'idle')").await;
    source.until("pg_current_wal_lsn() <= (select max(confirmed_flush_lsn) from pg_replication_slots)").await;
    for sql in ["disable", "set (slot_name = none)"] {
        target.sql(DATABASE, &format!("alter subscription move {sql}")).await;
    }
    target.sql(DATABASE, "drop subscription move").await;
    source.lose();
    let lost = scene.lives_on(&target).await;
    assert_eq!(lost, 0, "jobs did not come along");
    let scene = scene.with_load();
    scene.headway(some).await;
    scene.end("all tables, switched when all had arrived").await;
}
