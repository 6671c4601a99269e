//! The heartbeat of a worker process: it renews the lease, takes note of cancels and drains, and
//! persists `running` in the rows of jobs that run for long.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::claim::persist_running;
use crate::database::history;
use crate::error::QueueError;
use crate::worker::Worker;
use crate::worker::lease::{self, LeaseConnection, Registration, Renewal, Renewed};
use crate::worker::running::StopReason;

/// The most runs that are persisted in one statement.
const MAX_PERSISTED_RUNS: usize = 1000;

/// How often a worker that hands back its runs of a lost history looks whether they have ended.
const RETIRE_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Sends three heartbeats in each lease until the worker stops.
pub(super) async fn run(worker: Worker, registration: Registration, mut connection: LeaseConnection) {
    let interval = registration.lease / 3;
    let mut renewed_at = Instant::now();
    let (drain, lost_history) = (worker.wakers().for_drain(), worker.wakers().for_lease());
    loop {
        let mut at_once = false;
        tokio::select! {
            () = worker.stopped().cancelled() => return connection.close().await,
            () = drain.notified() => at_once = true,
            () = lost_history.notified() => at_once = true,
            () = tokio::time::sleep(persist_running::PERSIST_AFTER.min(interval)) => {}
        }
        persist_running(&worker, &mut connection).await;
        if at_once || renewed_at.elapsed() >= interval {
            renewed_at = Instant::now();
            send_heartbeat(&worker, &registration, &mut connection).await;
        }
    }
}

/// Sends one heartbeat. A lost lease stops what runs under it and is replaced by a new one.
async fn send_heartbeat(worker: &Worker, registration: &Registration, connection: &mut LeaseConnection) {
    let acknowledged = worker.acknowledged().take();
    let renewed = connection.renew(worker.id(), registration.lease, &acknowledged).await;
    if renewed.is_err() {
        worker.acknowledged().put_back(acknowledged);
    }
    match renewed {
        Ok(Renewal::Renewed(Renewed { cancelled, drain_requested })) => {
            if drain_requested {
                worker.request_drain();
            }
            for job in cancelled {
                worker.running().stop(job, StopReason::Cancelled);
            }
        }
        Ok(Renewal::Expired) => {
            tracing::warn!("this worker's lease ran out; what it ran may already run elsewhere");
            begin_new_lease(worker, registration, connection).await;
        }
        Ok(Renewal::HistoryLost) => {
            tracing::warn!("the database was restored or promoted; what this worker runs is handed back");
            tokio::spawn(retire(worker.clone(), worker.id()));
            begin_new_lease(worker, registration, connection).await;
        }
        Err(error) => {
            tracing::warn!(%error, "could not renew the lease; trying again");
            // In a task of its own: the heartbeat has to go on and end what runs in a lost history.
            tokio::spawn(recover(worker.clone(), error));
        }
    }
}

/// Stops what runs under a lost lease and registers anew.
async fn begin_new_lease(worker: &Worker, registration: &Registration, connection: &mut LeaseConnection) {
    worker.meter().add_lease_lost();
    worker.running().stop_all(StopReason::LeaseLost);
    match connection.register(registration).await {
        Ok(id) => worker.set_id(id),
        Err(error) => tracing::warn!(%error, "could not register again; trying again"),
    }
}

/// Persists in their jobs' rows that runs which have lasted for a moment run.
async fn persist_running(worker: &Worker, connection: &mut LeaseConnection) {
    loop {
        let mut starts =
            worker.running().take_unpersisted(persist_running::PERSIST_AFTER, MAX_PERSISTED_RUNS);
        if starts.is_empty() {
            return;
        }
        let is_last = starts.len() < MAX_PERSISTED_RUNS;
        // What still runs under an earlier lease belongs to somebody else by now.
        let id = worker.id();
        starts.retain(|start| start.worker == id);
        let seqs: HashSet<i64> = starts.iter().map(|start| start.seq).collect();
        match connection.persist_running(starts.into_iter().collect()).await {
            Ok(locked) => worker.running().put_back_unpersisted(|seq| locked.contains(&seq)),
            Err(error) => {
                // While the database is away this happens ten times a second; the renewal of the
                // lease reports it louder.
                tracing::debug!(%error, "could not persist what runs; trying again");
                if error.is_worker_of_lost_history() {
                    worker.wakers().for_lease().notify_one();
                }
                worker.running().put_back_unpersisted(|seq| seqs.contains(&seq));
                return;
            }
        }
        if is_last {
            return;
        }
    }
}

/// Resolves the doubt where a heartbeat's error puts the database's history in doubt.
async fn recover(worker: Worker, error: QueueError) {
    if history::recover(worker.pool(), &error).await.unwrap_or(false) {
        worker.wakers().for_lease().notify_one();
    }
}

/// Hands back what a worker of a lost history has claimed, as far as this database knows of it,
/// once its runs have ended. Until then nobody claims, because limits count what still runs.
async fn retire(worker: Worker, id: Uuid) {
    worker.acknowledged().forget_worker(id);
    while worker.running().has_runs_of(id) {
        tokio::time::sleep(RETIRE_POLL_INTERVAL).await;
    }
    if let Err(error) = lease::release(worker.pool(), id).await {
        tracing::warn!(%error, "could not hand back what ran in a lost history; its lease will run out");
    }
}
