//! How fast jobs come in.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use super::{BULK, Stage, fill, float};
use crate::report::Report;
use crate::work::Work;

const ENQUEUING: Duration = Duration::from_secs(4);
const PRODUCERS: u32 = 10;
const JOBS: usize = 100_000;

pub(super) async fn run(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    report.figure("single_per_s", singles(stage, 1).await?);
    report.figure("ten_per_s", singles(stage, PRODUCERS).await?);
    let producer = stage.peer.producer(&stage.url, 2).await?;
    let begun = Instant::now();
    tokio::try_join!(fill(&*producer, JOBS / 2, BULK), fill(&*producer, JOBS / 2, BULK))?;
    report.figure("bulk_per_s", float(u64::try_from(JOBS)?) / begun.elapsed().as_secs_f64());
    report.setting("single", "one job a transaction, one connection");
    report.setting("ten", "one job a transaction, ten producers and connections");
    report.setting("bulk", json!({"jobs": JOBS, "at_once": BULK, "connections": 2}));
    Ok(())
}

/// Jobs a second of so many producers, each job in a transaction of its own.
async fn singles(stage: &Stage, producers: u32) -> anyhow::Result<f64> {
    let producer = stage.peer.producer(&stage.url, producers).await?;
    let begun = Instant::now();
    let mut producing = JoinSet::new();
    for _ in 0..producers {
        let producer = producer.clone();
        producing.spawn(async move {
            let mut jobs = 0;
            while begun.elapsed() < ENQUEUING {
                producer.one(Work::default()).await?;
                jobs += 1;
            }
            anyhow::Ok(jobs)
        });
    }
    let mut jobs = 0;
    while let Some(of_producer) = producing.join_next().await {
        jobs += of_producer??;
    }
    Ok(float(jobs) / begun.elapsed().as_secs_f64())
}
