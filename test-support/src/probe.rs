//! Jobs that do what a test tells them to, and note that they did.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::Semaphore;
use uuid::Uuid;
use weirgate_queue::{Job, JobContext, JobError, NewJob};

/// What the jobs of a test share with it.
pub struct Probe {
    pub pool: PgPool,
    started: Mutex<Vec<String>>,
    gates: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Probe {
    pub fn new(pool: PgPool) -> Arc<Self> {
        Arc::new(Self { pool, started: Mutex::default(), gates: Mutex::default() })
    }

    /// The labels of the attempts that were started, in order.
    pub fn started(&self) -> Vec<String> {
        self.started.lock().clone()
    }

    /// Waits until so many attempts were started. A job that is claimed only may still be handed
    /// back.
    pub async fn until_started(&self, attempts: usize) {
        for _ in 0..5000 {
            if self.started().len() >= attempts {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("no further job starts after {:?}", self.started());
    }

    /// Lets one job that waits at the gate of this label pass.
    pub fn open(&self, label: &str) {
        self.gate(label).add_permits(1);
    }

    fn gate(&self, label: &str) -> Arc<Semaphore> {
        let mut gates = self.gates.lock();
        gates.entry(label.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(0))).clone()
    }
}

/// What a step does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Does {
    Succeed,
    Fail,
    /// Fails on attempts up to this one.
    FailUntil(u16),
    Discard,
    /// The same, and then succeeds.
    DiscardOnce,
    Snooze {
        seconds: u64,
    },
    RetryAfter {
        seconds: u64,
    },
    Panic,
    /// Waits at the gate of its label.
    Gate,
    /// Waits at the gate, but returns when it is cancelled.
    GateOrCancel,
    /// Waits at the gate, then writes a row and finishes with it.
    GateAndWrite,
    /// Enqueues a step of this label with its completion.
    Then(String),
    /// The same, in the same workflow.
    ThenJoin(String),
    /// Returns what it sees of its parents.
    Parents,
    /// The same, after an attempt that fails.
    ParentsOnSecond,
    Progress {
        done: u64,
        total: u64,
    },
    /// An output that Postgres cannot store.
    Unstorable,
    /// An output of so many megabytes.
    Output {
        megabytes: usize,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    pub label: String,
    pub does: Does,
}

impl Step {
    pub fn new(label: &str, does: Does) -> Self {
        Self { label: label.to_owned(), does }
    }

    async fn pass_gate(&self, probe: &Probe) {
        probe.gate(&self.label).acquire().await.unwrap().forget();
    }
}

impl Job for Step {
    const KIND: &'static str = "step";
    const MAX_ATTEMPTS: u16 = 3;
    type App = Probe;
    type Output = String;

    /// Far longer than a test: a machine that is busy ends no step.
    fn timeout() -> Duration {
        Duration::from_mins(5)
    }

    async fn run(&self, ctx: &JobContext<Probe>) -> Result<String, JobError> {
        let probe = &ctx.app;
        let attempt = {
            let mut started = probe.started.lock();
            started.push(self.label.clone());
            started.iter().filter(|label| **label == self.label).count()
        };
        match &self.does {
            Does::Fail => return Err(anyhow::anyhow!("it went wrong").into()),
            Does::FailUntil(last) => {
                if attempt <= usize::from(*last) {
                    return Err(anyhow::anyhow!("not yet").into());
                }
            }
            Does::Discard => return Err(JobError::discard("hopeless", "no attempt can succeed")),
            Does::DiscardOnce if attempt == 1 => return Err(JobError::discard("hopeless", "not yet")),
            Does::Snooze { seconds } if attempt == 1 => {
                return Err(JobError::snooze(Duration::from_secs(*seconds)));
            }
            Does::Succeed | Does::Snooze { .. } | Does::DiscardOnce => {}
            Does::RetryAfter { seconds } => {
                return Err(JobError::retry_after(
                    Duration::from_secs(*seconds),
                    anyhow::anyhow!("upstream is busy"),
                ));
            }
            Does::Panic => panic!("a bug in the handler"),
            Does::Gate => self.pass_gate(probe).await,
            Does::GateOrCancel => tokio::select! {
                () = self.pass_gate(probe) => {}
                () = ctx.cancelled() => return Err(JobError::Cancelled),
            },
            Does::GateAndWrite => {
                self.pass_gate(probe).await;
                let mut tx = probe.pool.begin().await?;
                sqlx::query("create table if not exists ledger (label text)").execute(&mut *tx).await?;
                sqlx::query("insert into ledger values ($1)").bind(&self.label).execute(&mut *tx).await?;
                ctx.finish_in(tx, &self.label).await?;
            }
            Does::Then(next) => ctx.then(NewJob::of(Uuid::nil(), &Self::new(next, Does::Succeed))?),
            Does::ThenJoin(next) => {
                ctx.then(NewJob::of(Uuid::nil(), &Self::new(next, Does::Succeed))?.join_workflow());
            }
            Does::ParentsOnSecond if attempt == 1 => return Err(anyhow::anyhow!("not yet").into()),
            Does::Parents | Does::ParentsOnSecond => return describe_parents(ctx).await,
            Does::Progress { done, total } => {
                ctx.progress(*done, Some(*total), "on the way").await?;
                self.pass_gate(probe).await;
            }
            Does::Unstorable => return Ok("a NUL: \0".to_owned()),
            Does::Output { megabytes } => return Ok("x".repeat(megabytes * 1_000_000)),
        }
        Ok(self.label.clone())
    }
}

async fn describe_parents(ctx: &JobContext<Probe>) -> Result<String, JobError> {
    let parents = ctx.parents().await?;
    let seen = parents.iter().map(|parent| {
        let output = parent.output_as::<String>().map(|output| serde_json::json!(output));
        let name = parent.name.as_deref().unwrap_or("?");
        Ok(format!("{name} {} {} {}", parent.kind, parent.state, output?))
    });
    Ok(seen.collect::<Result<Vec<_>, JobError>>()?.join("; "))
}
