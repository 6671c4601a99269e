//! What every fault needs: a database, a proxy before it, worker processes, a load, and the check
//! at the end.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgPool};
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;
use weirgate::config::Config;
use weirgate::database::Database;
use weirgate_queue::Job;
use weirgate_queue::lanes::change::change_lane;
use weirgate_queue::lanes::settings::LaneSettings;
use weirgate_queue::lanes::{LaneLimits, Rate};

use crate::check::{Counts, check};
use crate::cluster::{Cluster, cluster};
use crate::jobs::Chore;
use crate::load::{Load, SharedLedger, SkewedClock, new_job, produce, tenants};
use crate::profile;
use crate::proxy::Proxy;
use crate::server::{DATABASE, Server};
use crate::worker::{Settings, Worker};

/// The faults take turns: they share the machine and a server that some of them restart.
static TURN: Mutex<()> = Mutex::const_new(());

/// A load that makes no headway for this long is stuck.
const STUCK: Duration = Duration::from_secs(40);

/// What differs between faults.
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) workers: usize,
    pub(crate) lease: Duration,
    pub(crate) grace: Duration,
    pub(crate) concurrency: usize,
    /// Of the hosts, in turn.
    pub(crate) clocks: Vec<SkewedClock>,
}

impl Plan {
    /// Three workers whose jobs are rescued soon after their end.
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            workers: 3,
            lease: Duration::from_secs(3),
            grace: Duration::from_secs(5),
            concurrency: 8,
            clocks: vec![SkewedClock::default()],
        }
    }

    fn clock(&self, host: usize) -> SkewedClock {
        self.clocks[host % self.clocks.len()]
    }
}

pub(crate) struct Scene {
    pub(crate) plan: Plan,
    pub(crate) cluster: &'static Cluster,
    /// Of the shared server.
    database: Option<String>,
    /// Not through the proxy.
    pub(crate) db: PgPool,
    /// The program's own connections, through the proxy.
    producers: Database,
    pub(crate) proxy: Proxy,
    pub(crate) workers: Vec<Worker>,
    pub(crate) ledger: SharedLedger,
    pub(crate) tenants: Vec<Uuid>,
    pub(crate) rng: StdRng,
    load: Option<Load>,
    /// By the database.
    began: String,
    started: Instant,
    _turn: MutexGuard<'static, ()>,
}

impl Scene {
    /// Workers and producers are there, and idle.
    pub(crate) async fn new(plan: Plan) -> Self {
        Self::on(cluster(), plan).await
    }

    /// On a cluster of the fault's own.
    pub(crate) async fn on(cluster: &'static Cluster, plan: Plan) -> Self {
        let turn = TURN.lock().await;
        let (name, _) = cluster.database().await;
        let options = cluster.options(&name);
        Self::at(cluster, plan, &options, Some(name), turn).await
    }

    /// The same on a server of the fault's own.
    pub(crate) async fn of(plan: Plan, server: &Server) -> Self {
        let turn = TURN.lock().await;
        Self::at(cluster(), plan, &server.options(DATABASE), None, turn).await
    }

    async fn at(
        cluster: &'static Cluster,
        plan: Plan,
        options: &PgConnectOptions,
        database: Option<String>,
        turn: MutexGuard<'static, ()>,
    ) -> Self {
        let mut rng = profile::rng(plan.name);
        let db = direct(options).await;
        let proxy = Proxy::new(options.get_port());
        let url_through = |port| options.clone().port(port).to_url_lossy().to_string();
        let began = sqlx::query_scalar("select queue.now()::text").fetch_one(&db).await.unwrap();
        let url = url_through(proxy.listen("producers").await);
        let get = |name: &str| match name {
            "DATABASE_URL" => Some(url.clone()),
            "WEIRGATE_DB_CONNECTIONS" => Some("5".to_owned()),
            _ => None,
        };
        let producers = Database::open(&Config::read(&get).unwrap(), "serve").await.unwrap();
        let mut workers = Vec::new();
        for host in 0..plan.workers {
            let client = format!("worker-{host}");
            let settings = Settings {
                url: url_through(proxy.listen(&client).await),
                name: client,
                lease: plan.lease,
                grace: plan.grace,
                concurrency: plan.concurrency,
                clock: plan.clock(host),
                seed: rng.random(),
            };
            workers.push(Worker::start(plan.name, settings));
        }
        let tenants = tenants(7, &mut rng);
        limit(&db, &tenants[5..]).await;
        Self {
            plan,
            cluster,
            database,
            db,
            producers,
            proxy,
            workers,
            ledger: Arc::default(),
            tenants,
            rng,
            load: None,
            began,
            started: Instant::now(),
            _turn: turn,
        }
    }

    /// With three producers at work.
    pub(crate) async fn under_load(plan: Plan) -> Self {
        Self::new(plan).await.loaded().await
    }

    /// Puts three producers to work.
    pub(crate) async fn loaded(self) -> Self {
        let scene = self.with_load();
        // Faults come once every worker has some of it.
        for worker in 0..scene.workers.len() {
            scene.at_work(worker).await;
        }
        scene
    }

    pub(crate) fn with_load(mut self) -> Self {
        let scene = &mut self;
        let clocks: Vec<_> = (0..3).map(|host| scene.plan.clock(host)).collect();
        let mut rng = StdRng::seed_from_u64(scene.rng.random());
        let load =
            Load::start(&scene.producers.pool, &scene.db, &scene.ledger, &scene.tenants, &clocks, &mut rng);
        scene.load = Some(load);
        self
    }

    /// Returns when every enqueue has been answered or given up.
    pub(crate) async fn stop_load(&mut self) {
        if let Some(load) = self.load.take() {
            load.stop().await;
        }
    }

    /// Nobody reaches a server any more.
    pub(crate) fn unplug(&self) {
        self.proxy.lead_to(0);
    }

    /// Workers and producers are led to another server, with what it knows; how many jobs that were
    /// accepted it does not have.
    pub(crate) async fn lives_on(&mut self, server: &Server) -> usize {
        let lost = self.goes_on_with(server).await;
        self.lead_to(server.port());
        lost
    }

    /// Workers and producers connect to whatever listens on this port from now on.
    pub(crate) fn lead_to(&self, port: u16) {
        self.proxy.lead_to(port);
    }

    /// The same, where something else leads them there.
    pub(crate) async fn goes_on_with(&mut self, server: &Server) -> usize {
        self.db = direct(&server.options(DATABASE)).await;
        let known: HashSet<Uuid> = sqlx::query_scalar("select id from queue.jobs")
            .fetch_all(&self.db)
            .await
            .unwrap()
            .into_iter()
            .collect();
        let mut ledger = self.ledger.lock();
        let before = ledger.accepted.len();
        ledger.accepted.retain(|job| known.contains(job));
        before - ledger.accepted.len()
    }

    /// Waits until a worker holds jobs.
    pub(crate) async fn at_work(&self, worker: usize) {
        let deadline = Instant::now() + STUCK;
        while self.held_by(worker).await.is_empty() {
            assert!(Instant::now() < deadline, "worker-{worker} claims nothing");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The jobs that a worker's process runs, with their runs, as the database knows it.
    pub(crate) async fn held_by(&self, worker: usize) -> Vec<(Uuid, i64)> {
        sqlx::query_as(
            "select j.id, t.run from queue.in_flight t join queue.workers w on w.id = t.worker_id join queue.jobs j using (seq)
             where w.pid = $1 and (j.run = t.run and j.state = 'running' or j.run = t.run - 1 and j.state = 'available')",
        )
        .bind(self.workers[worker].pid().cast_signed())
        .fetch_all(&self.db)
        .await
        .unwrap()
    }

    pub(crate) async fn completed(&self) -> i64 {
        let sql = "select count(*) from queue.jobs where state = 'completed'";
        sqlx::query_scalar(sql).fetch_one(&self.db).await.unwrap()
    }

    /// Waits until that many more jobs have completed.
    pub(crate) async fn headway(&self, jobs: i64) {
        let goal = self.completed().await + jobs;
        let deadline = Instant::now() + STUCK;
        while self.completed().await < goal {
            assert!(Instant::now() < deadline, "no {jobs} jobs more were completed in {STUCK:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Enqueues one job more than the load does.
    pub(crate) async fn produce_one(&self) {
        let job = new_job(&Chore::new(self.tenants[0], 1), SkewedClock::default());
        produce(&self.producers.pool, &self.ledger, vec![job]).await;
    }

    /// Enqueues that were acknowledged.
    pub(crate) fn accepted(&self) -> usize {
        self.ledger.lock().accepted.len()
    }

    /// How long it takes from now until that many more enqueues were acknowledged and jobs
    /// completed.
    pub(crate) async fn back(&self, jobs: i64) -> Duration {
        let (since, goal) = (Instant::now(), self.accepted() + 20);
        self.headway(jobs).await;
        while self.accepted() < goal {
            assert!(since.elapsed() < STUCK, "enqueues are not acknowledged");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        since.elapsed()
    }

    pub(crate) async fn pause(&mut self, millis: std::ops::Range<u64>) {
        tokio::time::sleep(Duration::from_millis(self.rng.random_range(millis))).await;
    }

    /// Stops the load, waits until it has drained, checks, and prints the line of this fault.
    pub(crate) async fn end(mut self, what: &str) -> Counts {
        self.stop_load().await;
        self.drain().await;
        let ledger = std::mem::take(&mut *self.ledger.lock());
        let counts = check(&self.db, &ledger, &self.began)
            .await
            .unwrap_or_else(|wrong| panic!("{} ({what}): {wrong}", self.plan.name));
        for worker in &mut self.workers {
            assert!(worker.lives(), "{} has ended by itself", worker.settings.name);
        }
        println!("{}", self.line(what, &counts));
        self.workers.clear();
        if let Some(database) = &self.database {
            self.cluster.drop_database(database).await;
        }
        counts
    }

    /// Returns also when nothing moves any more; the check then names what is stuck.
    async fn drain(&self) {
        let (mut last, mut since) = (i64::MAX, Instant::now());
        loop {
            let open = sqlx::query_scalar(
                "select count(*) from queue.jobs where state not in ('completed', 'cancelled', 'discarded')
                 and not (state = 'scheduled' and scheduled_at > queue.now() + interval '1 hour')",
            )
            .fetch_one(&self.db)
            .await
            .unwrap();
            if open == 0 || since.elapsed() > STUCK {
                return;
            }
            if open != last {
                (last, since) = (open, Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn line(&self, what: &str, counts: &Counts) -> String {
        let n = |number: i64| grouped(number.unsigned_abs());
        format!(
            "{}: {what}, {} accepted, {} completed, {} still due, {} ledger rows, {} rescued, {} handed back, {}, \
             {} commits unanswered, {} starts in lanes with limits, 0 over a limit, 0 lost, 0 twice, 0 wrong counts, {} s",
            self.plan.name,
            grouped(counts.accepted as u64),
            n(counts.completed),
            n(counts.still_due),
            n(counts.ledger_rows),
            n(counts.rescued()),
            n(counts.handed_back),
            counts.failures(),
            counts.unknown,
            n(counts.limited),
            self.started.elapsed().as_secs()
        )
    }
}

/// Connections that no fault touches.
async fn direct(options: &PgConnectOptions) -> PgPool {
    PgPoolOptions::new().max_connections(6).connect_with(options.clone()).await.unwrap()
}

/// The first may start so many a second, the second so many at once.
async fn limit(db: &PgPool, tenants: &[Uuid]) {
    let rate = Some(Rate { rate: 50, period_ms: 1000, burst: 10 });
    let limits = [
        LaneLimits { rate, ..LaneLimits::default() },
        LaneLimits { max_running: Some(3), ..LaneLimits::default() },
    ];
    let mut conn = db.acquire().await.unwrap();
    for (tenant, limits) in tenants.iter().zip(limits) {
        let lane = LaneSettings { paused: false, limits: Some(limits) };
        change_lane(&mut conn, Chore::QUEUE, *tenant, lane.into()).await.unwrap();
    }
}

/// 12345 as 12,345.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let head = digits.len() % 3;
    let mut parts: Vec<&str> = if head > 0 { vec![&digits[..head]] } else { Vec::new() };
    parts.extend((head..digits.len()).step_by(3).map(|at| &digits[at..at + 3]));
    parts.join(",")
}
