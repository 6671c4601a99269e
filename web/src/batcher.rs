//! What requests enqueue, many requests in one transaction: who comes while one is written shares
//! the next one. Each is answered after the commit.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::{Mutex, mpsc, oneshot};
use uuid::Uuid;
use weirgate_identity::Tenant;
use weirgate_identity::audit::Actor;
use weirgate_queue::control::bulk::BulkAction;
use weirgate_queue::read::JobFilter;
use weirgate_queue::{Enqueued, NewJob, StickyConnection, next_batch, within};

use crate::idempotency::{self, Claimed, IdempotencyKey};
use crate::plan::Plan;
use crate::problem::Problem;

/// Transactions under way at once; so many more requests come while they are that the next ones are
/// well filled.
const TRANSACTIONS: usize = 2;

/// Most requests of one transaction.
const MOST: usize = 100;

/// A transaction of many waits for nobody: where somebody holds a key or a duplicate of one of its
/// jobs, each goes alone.
const BEGIN: &str = "begin; set local lock_timeout = '100ms'";

/// How long a transaction of many may take.
const ANSWER: Duration = Duration::from_secs(5);

/// How long one alone may: it may have to wait for another with the same key or duplicate.
const ANSWER_ALONE: Duration = Duration::from_secs(15);

/// The job that a request is about.
#[derive(Debug, Clone, Copy)]
pub struct Accepted {
    pub job: Uuid,
    /// A live duplicate, instead of a new job.
    pub duplicate: bool,
    /// What the same request enqueued before.
    pub replayed: bool,
}

impl Accepted {
    fn new(Enqueued { id, duplicate }: Enqueued) -> Self {
        Self { job: id, duplicate, replayed: false }
    }
}

type Answer = Result<Accepted, Problem>;
type MakePlan = Box<dyn FnOnce(&Tenant) -> weirgate_queue::Result<Plan> + Send>;

/// What is to be enqueued for a tenant.
struct PendingEnqueue {
    tenant: String,
    plan: MakePlan,
    key: Option<IdempotencyKey>,
    force: bool,
    actor: Actor,
    answer: oneshot::Sender<Answer>,
}

/// What the tasks are handed.
enum Handed {
    Enqueue(PendingEnqueue),
    /// Whether anybody answers, and the database does.
    Question(oneshot::Sender<bool>),
}

/// A pending enqueue whose tenant is there and active.
struct Planned {
    plan: Plan,
    key: Option<IdempotencyKey>,
    force: bool,
    note: Option<Note>,
    answer: oneshot::Sender<Answer>,
}

/// Enqueues what requests ask for. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EnqueueBatcher {
    tasks: mpsc::UnboundedSender<Handed>,
}

impl EnqueueBatcher {
    /// Ends with its last handle.
    pub fn start(pool: &PgPool) -> Self {
        let (tasks, queue) = mpsc::unbounded_channel();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..TRANSACTIONS {
            tokio::spawn(run(pool.clone(), queue.clone()));
        }
        Self { tasks }
    }

    /// Enqueues what `plan` makes for the tenant of that slug or UUID; returns when it is
    /// committed.
    pub async fn enqueue(
        &self,
        tenant: &str,
        key: Option<IdempotencyKey>,
        force: bool,
        actor: Actor,
        plan: impl FnOnce(&Tenant) -> weirgate_queue::Result<Plan> + Send + 'static,
    ) -> Answer {
        let (answer, answered) = oneshot::channel();
        let one =
            PendingEnqueue { tenant: tenant.to_owned(), plan: Box::new(plan), key, force, actor, answer };
        // Ends with the runtime only.
        let _ = self.tasks.send(Handed::Enqueue(one));
        answered.await.unwrap_or_else(|_| Err(Problem::internal()))
    }

    /// Whether the database answers on the way that jobs go; waits for as long as it takes to know.
    pub async fn is_open(&self) -> bool {
        let (answer, answered) = oneshot::channel();
        let _ = self.tasks.send(Handed::Question(answer));
        answered.await.unwrap_or(false)
    }
}

/// What the audit is to say of what was enqueued. Single jobs have no entry, as they may be
/// thousands a second and the audit is kept for good: each names in its row who enqueued it.
pub struct Note {
    pub actor: Actor,
    pub of: Of,
}

/// What was enqueued.
pub enum Of {
    /// A job that does something to all jobs of a filter.
    Bulk { action: BulkAction, filter: Box<JobFilter> },
    /// A workflow of a tenant, and what is to be said of it.
    Workflow { tenant: Uuid, asked: Value },
}

impl Of {
    /// Whether it is told of also where it was on its way already: a workflow may start sooner by
    /// that.
    fn is_told_again(&self) -> bool {
        matches!(self, Self::Workflow { .. })
    }
}

impl Note {
    async fn write(self, conn: &mut PgConnection, enqueued: Enqueued) -> sqlx::Result<()> {
        let Self { actor, of } = self;
        match of {
            Of::Bulk { action, filter } => {
                actor.note_bulk(conn, (action, &filter), "all that match", enqueued.id).await
            }
            Of::Workflow { tenant, asked } => actor.note_enqueued(conn, enqueued, tenant, asked).await,
        }
    }
}

/// Enqueues one request's plan in a transaction of its own.
pub async fn enqueue_alone(
    pool: &PgPool,
    plan: Plan,
    key: Option<&IdempotencyKey>,
    force: bool,
    note: Option<Note>,
) -> Answer {
    let mut tx = pool.begin().await?;
    if let Some(key) = key
        && let Claimed::Replay(job) = key.claim(&mut tx, plan.id()).await?
    {
        return Ok(Accepted { job, duplicate: false, replayed: true });
    }
    let enqueued = plan.enqueue(&mut tx, force).await?;
    if let Some(key) = key
        && enqueued.duplicate
    {
        key.point_to(&mut tx, enqueued.id).await?;
    }
    if let Some(note) = note.filter(|note| !enqueued.duplicate || note.of.is_told_again()) {
        note.write(&mut tx, enqueued).await?;
    }
    tx.commit().await?;
    Ok(Accepted::new(enqueued))
}

async fn run(pool: PgPool, queue: Arc<Mutex<mpsc::UnboundedReceiver<Handed>>>) {
    let mut held = StickyConnection::new(pool.clone());
    loop {
        let handed = next_batch(&queue, MOST, &mut held).await;
        if handed.is_empty() {
            return;
        }
        let (mut pending, mut questions) = (Vec::with_capacity(handed.len()), Vec::new());
        for one in handed {
            match one {
                Handed::Enqueue(one) => pending.push(one),
                Handed::Question(answer) => questions.push(answer),
            }
        }
        let names: Vec<String> = pending.iter().map(|one| one.tenant.clone()).collect();
        let tenants = match within(ANSWER, tenants(&mut held, &names)).await {
            Ok(tenants) => tenants,
            Err(error) => {
                // Each is told; the next ones find out for themselves.
                tracing::warn!(%error, requests = pending.len(), "could not read tenants");
                held.close();
                for one in pending {
                    tell(one.answer, Err(Problem::database_unavailable()));
                }
                for question in questions {
                    let _ = question.send(false);
                }
                continue;
            }
        };
        for question in questions {
            let _ = question.send(true);
        }
        enqueue_pending(&pool, &mut held, pending, tenants).await;
    }
}

async fn enqueue_pending(
    pool: &PgPool,
    held: &mut StickyConnection,
    pending: Vec<PendingEnqueue>,
    tenants: Vec<Option<Tenant>>,
) {
    let mut together = Vec::with_capacity(pending.len());
    let mut keys = HashSet::new();
    for (one, tenant) in pending.into_iter().zip(tenants) {
        let PendingEnqueue { tenant: name, plan, key, force, actor, answer } = one;
        match active(&name, tenant).and_then(|tenant| Ok((plan(&tenant)?, tenant.id))) {
            Err(problem) => tell(answer, Err(problem)),
            Ok((plan, tenant)) => {
                let again = key.as_ref().is_some_and(|key| !keys.insert(key.stored().to_owned()));
                let note = match &plan {
                    Plan::Job(_) => None,
                    Plan::Workflow { asked, .. } => {
                        Some(Note { actor, of: Of::Workflow { tenant, asked: asked.clone() } })
                    }
                };
                let planned = Planned { plan, key, force, note, answer };
                match planned.plan {
                    Plan::Job(_) if !again => together.push(planned),
                    _ => drop(tokio::spawn(alone(pool.clone(), planned))),
                }
            }
        }
    }
    commit(pool, held, together).await;
}

async fn tenants(held: &mut StickyConnection, names: &[String]) -> sqlx::Result<Vec<Option<Tenant>>> {
    Tenant::find_each(held.conn().await?, names).await
}

fn active(name: &str, tenant: Option<Tenant>) -> Result<Tenant, Problem> {
    let tenant = tenant.ok_or_else(|| Problem::unknown_tenant(name))?;
    if !tenant.is_active {
        let detail = format!("tenant {} is inactive and accepts no jobs", tenant.slug);
        return Err(Problem::conflict("tenant_inactive", "Tenant inactive", detail));
    }
    Ok(tenant)
}

async fn alone(pool: PgPool, planned: Planned) {
    let Planned { plan, key, force, note, answer } = planned;
    tell(answer, within(ANSWER_ALONE, enqueue_alone(&pool, plan, key.as_ref(), force, note)).await);
}

fn each_alone(pool: &PgPool, planned: Vec<Planned>) {
    for one in planned {
        tokio::spawn(alone(pool.clone(), one));
    }
}

/// All in one transaction; where that fails, each in one of its own, so that nobody suffers for
/// another.
async fn commit(pool: &PgPool, held: &mut StickyConnection, planned: Vec<Planned>) {
    if planned.is_empty() {
        return;
    }
    if let [_] = planned.as_slice() {
        // Alone already; it may wait as long as it has to, and nobody waits for it.
        each_alone(pool, planned);
        return;
    }
    match within(ANSWER, together(held, &planned)).await {
        Ok(accepted) => {
            for (one, accepted) in planned.into_iter().zip(accepted) {
                match accepted {
                    Some(accepted) => tell(one.answer, Ok(accepted)),
                    None => drop(tokio::spawn(alone(pool.clone(), one))),
                }
            }
        }
        Err(error) => {
            tracing::debug!(?error, requests = planned.len(), "not enqueued together; each alone");
            held.close();
            each_alone(pool, planned);
        }
    }
}

/// What was accepted; none for those whose key came before.
async fn together(
    held: &mut StickyConnection,
    planned: &[Planned],
) -> Result<Vec<Option<Accepted>>, Problem> {
    let mut tx = held.conn().await?.begin_with(BEGIN).await?;
    let keys: Vec<_> = planned.iter().filter_map(|one| Some((one.key.as_ref()?, one.plan.id()))).collect();
    let first = idempotency::claim_new(&mut tx, &keys).await?;
    let is_first = |one: &&Planned| one.key.as_ref().is_none_or(|key| first.contains(key.stored()));
    let jobs: Vec<NewJob> = planned
        .iter()
        .filter(is_first)
        .filter_map(|one| match &one.plan {
            Plan::Job(job) if one.force => Some(job.clone().not_unique()),
            Plan::Job(job) => Some(job.clone()),
            Plan::Workflow { .. } => None,
        })
        .collect();
    let mut enqueued = weirgate_queue::enqueue(&mut tx, jobs).await?.into_iter();
    let mut accepted = Vec::with_capacity(planned.len());
    for one in planned {
        if !is_first(&one) {
            accepted.push(None);
            continue;
        }
        let job = enqueued.next().map(Accepted::new);
        if let Some(Accepted { job, duplicate: true, .. }) = job
            && let Some(key) = &one.key
        {
            key.point_to(&mut tx, job).await?;
        }
        accepted.push(job);
    }
    tx.commit().await?;
    Ok(accepted)
}

/// Who went away needs no answer.
fn tell(answer: oneshot::Sender<Answer>, what: Answer) {
    let _ = answer.send(what);
}
