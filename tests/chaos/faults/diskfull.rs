//! A disk that is full, and has room again. It holds the data and Postgres' log, or that log alone.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use weirgate_private_postgres::{Options, PrivatePostgres};

use crate::cluster::Cluster;
use crate::profile::{long, times};
use crate::scene::{Plan, Scene};

/// After so long with room, jobs complete again.
const BACK: Duration = Duration::from_secs(20);

/// A small disk in memory; unmounted when dropped, whoever uses it.
struct Disk(PathBuf);

impl Disk {
    /// `None` where this account may not mount one.
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=0711"), "weirgate-chaos"])
            .arg(at)
            .output();
        mounted.is_ok_and(|it| it.status.success()).then(|| Self(at.to_owned()))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Takes all the room there is, again and again, as Postgres gives some back.
    fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.filler()).unwrap();
        for size in [1 << 20, 4096] {
            while file.write_all(&vec![7; size]).is_ok() {}
        }
    }

    fn empty(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Open files of the server do not keep it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The server of a fault's own cluster is ended with it, and not started again, as its data is out
/// of the way.
struct Ending(&'static Cluster);

impl Drop for Ending {
    fn drop(&mut self) {
        let pid = self.0.pid().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let data = self.0.data_dir();
        let _ = fs::rename(data, data.with_file_name("over"));
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::QUIT);
        }
    }
}

/// A folder that the account of root's Postgres gets through, with a small disk in it, where this
/// account may mount one.
fn folder_with_disk(size: &str) -> Option<(TempDir, Disk)> {
    let folder = tempfile::Builder::new().prefix("weirgate-chaos-disk-").tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).unwrap();
    let disk = Disk::mount(&folder.path().join("disk"), size);
    if disk.is_none() {
        println!("skipped, as only root may mount a small disk");
    }
    Some((folder, disk?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn diskfull() {
    if !long() {
        return;
    }
    let Some((_folder, disk)) = folder_with_disk("500m") else { return };
    let cluster = Cluster::of_its_own(disk.0.join("home")).await;
    fill_and_empty(cluster, &disk, "disk full", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn diskfull_of_the_log_alone() {
    if !long() {
        return;
    }
    let Some((folder, disk)) = folder_with_disk("160m") else { return };
    let home = folder.path().join("home");
    PrivatePostgres::start(Options::new(&home)).await.unwrap().stop().await.unwrap();
    let log = home.join("postgres/pg_wal");
    let moved = disk.0.join("pg_wal");
    // Also the owner, which is the account that the server runs as.
    assert!(Command::new("cp").arg("-a").arg(&log).arg(&moved).status().unwrap().success());
    fs::remove_dir_all(&log).unwrap();
    std::os::unix::fs::symlink(&moved, &log).unwrap();
    let cluster = Cluster::of_its_own(home).await;
    fill_and_empty(cluster, &disk, "disk of the log full", true).await;
}

/// `ends`: without room for its log the server ends; without room for data it refuses what needs
/// some.
async fn fill_and_empty(cluster: &'static Cluster, disk: &Disk, name: &'static str, ends: bool) {
    let _ending = Ending(cluster);
    // What the log grows to by itself is not the fault.
    let mut admin = PgConnection::connect_with(&cluster.options("postgres")).await.unwrap();
    for sql in ["alter system set max_wal_size = '96MB'", "select pg_reload_conf()"] {
        sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
    }
    admin.close().await.unwrap();
    let plan = Plan { lease: Duration::from_secs(5), ..Plan::new(name) };
    let mut scene = Scene::on(cluster, plan).await.loaded().await;
    let (rounds, mut longest, mut ended) = (times(1, 4), Duration::ZERO, 0);
    for _ in 0..rounds {
        scene.pause(500..1500).await;
        let before = cluster.pid();
        let full = Instant::now();
        let least = Duration::from_millis(times(2_500, 20_000) as u64);
        while full.elapsed() < least || (ends && cluster.pid() == before) {
            assert!(full.elapsed() < least + BACK, "the server goes on without room for its log");
            disk.fill();
            // It has some files of its log in stock, and soon no more.
            let _ = sqlx::query("select pg_switch_wal()").execute(&scene.db).await;
            scene.pause(100..200).await;
        }
        ended += usize::from(cluster.pid() != before);
        disk.empty();
        let room = Instant::now();
        while !makes_headway(&scene).await {
            assert!(
                room.elapsed() < BACK,
                "no headway {BACK:?} after there was room; the server is {:?}",
                cluster.pid()
            );
        }
        longest = longest.max(room.elapsed());
        scene.headway(100).await;
    }
    let back = format!(
        "{rounds} times, Postgres ended {ended} times, back within {:.1} s of at most {} s",
        longest.as_secs_f64(),
        BACK.as_secs()
    );
    let refused: usize = scene.workers.iter().map(|worker| worker.logged("No space left on device")).sum();
    assert!(ended + refused > 0, "nobody noticed that the disk was full");
    scene.end(&back).await;
}

/// Whether a job completes within moments. The server may be away.
async fn makes_headway(scene: &Scene) -> bool {
    let completed = async || -> sqlx::Result<i64> {
        let sql = "select count(*) from queue.jobs where state = 'completed'";
        sqlx::query_scalar(sql).fetch_one(&scene.db).await
    };
    let Ok(before) = completed().await else {
        tokio::time::sleep(Duration::from_millis(100)).await;
        return false;
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    completed().await.is_ok_and(|after| after > before)
}
