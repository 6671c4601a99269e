//! One worker's claims from one queue: it plans on its view, and asks the database to apply the
//! plan.

use std::collections::HashMap;

use az::SaturatingAs;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::claim::claimed_job::{ClaimedJob, find_claimed};
use crate::claim::plan::{Capacity, Fetch, Plan};
use crate::database::column::column;
use crate::error::Result;
use crate::job::RunId;
use crate::lanes::view::QueueView;

/// What a claim brought.
#[derive(Debug, Default)]
pub struct Claim {
    /// Jobs that the worker runs from now on, in the order in which they start.
    pub jobs: Vec<ClaimedJob>,
    /// Whether to claim again at once: there may be more, or another worker came first.
    pub poll_again: bool,
    /// The claim sequence number under which the jobs were claimed.
    pub claim_seq: i64,
    /// When the next throttled lane may start a job, by the database's clock.
    pub next_due: Option<DateTime<Utc>>,
    /// The database's time of this claim.
    pub now: DateTime<Utc>,
}

/// One worker's claims from one queue.
#[derive(Debug)]
pub struct Claimer {
    view: QueueView,
    unanswered: Option<UnansweredClaim>,
}

/// A claim whose answer did not arrive. The connection broke, and it is not known yet whether the
/// database applied it.
#[derive(Debug, Clone, Copy)]
struct UnansweredClaim {
    /// The worker that claimed.
    worker: Uuid,
    /// The claim sequence number that it asked for.
    claim_seq: i64,
}

impl Claimer {
    /// Begins with a view of `queue` as it is now.
    pub async fn open(conn: &mut PgConnection, queue: &str) -> Result<Self> {
        Ok(Self { view: QueueView::open(conn, queue).await?, unanswered: None })
    }

    /// The history of the database that it claims in.
    pub(crate) fn history(&self) -> Uuid {
        self.view.history
    }

    /// A connection broke: the next claim opens its view anew.
    pub(crate) fn reopen_view_at_next_claim(&mut self) {
        self.view.reopen_at_next_refresh();
    }

    /// The view that claims are planned on.
    pub fn view(&self) -> &QueueView {
        &self.view
    }

    /// Claims the jobs that are next, as far as there is `capacity`, for `worker`: lanes by their
    /// fair shares and within their limits; inside a lane jobs of a higher priority first, then in
    /// the order of enqueueing.
    ///
    /// A worker whose lease ran out gets nothing. After an error it is not known whether the claim
    /// was applied. The next call finds that out, and returns the jobs of the answer that was lost.
    pub async fn claim(
        &mut self,
        conn: &mut PgConnection,
        worker: Uuid,
        capacity: Capacity,
    ) -> Result<Claim> {
        let history = self.view.history;
        self.view.refresh(conn).await?;
        if history != self.view.history {
            // A claim of another history is not known in this one.
            self.unanswered = None;
        }
        let mut claim = self.recover_unanswered(conn).await?.unwrap_or_default();
        claim.now = self.view.now();
        claim.next_due = self.view.next_due();
        if !claim.jobs.is_empty() {
            // These are returned before anything else can fail.
            claim.poll_again = true;
            return Ok(claim);
        }
        if let Some(plan) = self.view.plan(capacity) {
            let before = self.unanswered;
            claim.claim_seq = self.view.claim_seq + 1;
            self.unanswered = Some(UnansweredClaim { worker, claim_seq: claim.claim_seq });
            match self.apply(conn, worker, &plan).await? {
                Answer::Claimed(jobs) => {
                    self.unanswered = None;
                    claim.poll_again = !jobs.is_empty();
                    claim.jobs.extend(jobs);
                }
                // The number may have been taken by the very claim that is unanswered.
                Answer::Outdated => (self.unanswered, claim.poll_again) = (before, true),
                Answer::NoLease => self.unanswered = before,
            }
        }
        Ok(claim)
    }

    /// The jobs of the unanswered claim, once the view shows that its claim sequence number is
    /// taken. If another claim took that number, there are none.
    async fn recover_unanswered(&mut self, conn: &mut PgConnection) -> Result<Option<Claim>> {
        let is_taken = |unanswered: &UnansweredClaim| unanswered.claim_seq <= self.view.claim_seq;
        let Some(UnansweredClaim { worker, claim_seq }) = self.unanswered.filter(is_taken) else {
            return Ok(None);
        };
        let jobs = find_claimed(conn, self.view.queue(), worker, claim_seq).await?;
        self.unanswered = None;
        Ok(Some(Claim { jobs, claim_seq, ..Claim::default() }))
    }

    /// Applies a plan in one statement: the claim sequence number, the lanes' new state and the
    /// jobs, or nothing.
    async fn apply(&mut self, conn: &mut PgConnection, worker: Uuid, plan: &Plan) -> Result<Answer> {
        let (updates, fetches) = (&plan.updates, &plan.fetches);
        let requeued: Vec<(i32, i64)> = (1_i32..)
            .zip(fetches)
            .flat_map(|(number, fetch)| fetch.requeued.iter().map(move |seq| (number, *seq)))
            .collect();
        let rows = sqlx::query_file_as!(
            ClaimRow,
            "src/claim/claim.sql",
            self.view.queue,
            self.view.claim_seq + 1,
            worker,
            &plan.virtual_times,
            self.view.queue_tat,
            plan.queue_adds_us,
            &column(updates, |update| update.sublane.tenant),
            &column(updates, |update| update.sublane.backfill) as &[Option<Uuid>],
            &column(updates, |update| update.finish_tag),
            &column(updates, |update| update.tat) as &[Option<DateTime<Utc>>],
            &column(updates, |update| update.adds_us),
            &column(fetches, |fetch| fetch.sublane.tenant),
            &column(fetches, |fetch| fetch.sublane.backfill) as &[Option<Uuid>],
            &column(fetches, |fetch| fetch.priority),
            &column(fetches, |fetch| fetch.cursor),
            &column(fetches, |fetch| fetch.high_water),
            &column(fetches, |fetch| fetch.count.saturating_as::<i32>()),
            &column(&requeued, |(number, _)| *number),
            &column(&requeued, |(_, seq)| *seq),
            self.view.oldest_claim,
            self.view.snapshot().xmax,
            &self.view.snapshot().in_progress,
        )
        .fetch_all(conn)
        .await?;
        match rows.first() {
            Some(row) if row.claimed => Ok(Answer::Claimed(self.take(worker, rows, fetches))),
            Some(row) if row.has_lease => Ok(Answer::Outdated),
            _ => Ok(Answer::NoLease),
        }
    }

    /// The jobs of a claim that was applied. The cursors of the view move past them.
    fn take(&mut self, worker: Uuid, rows: Vec<ClaimRow>, fetches: &[Fetch]) -> Vec<ClaimedJob> {
        let mut progress: HashMap<usize, FetchProgress> = HashMap::new();
        let mut jobs = Vec::with_capacity(rows.len());
        for row in rows {
            let (Some(number), Some(seq)) = (row.fetch, row.seq) else { continue };
            let number = usize::try_from(number - 1).expect("counted from 1");
            progress.entry(number).or_default().add(seq, &fetches[number]);
            jobs.extend(row.into_job(worker));
        }
        for (number, fetch) in fetches.iter().enumerate() {
            let progress = progress.remove(&number).unwrap_or_default();
            self.view.remove_requeued(fetch.sublane, fetch.priority, progress.searched(fetch));
            self.view.advance(fetch.sublane, fetch.priority, progress.next_seq);
        }
        jobs
    }
}

/// A row that `claim.sql` returns: a job, or none.
struct ClaimRow {
    /// Whether the worker has a lease.
    has_lease: bool,
    /// Whether the claim sequence number was free.
    claimed: bool,
    at: DateTime<Utc>,
    /// The number of the fetch that found the job, from 1.
    fetch: Option<i64>,
    seq: Option<i64>,
    id: Option<Uuid>,
    run: Option<i64>,
    tenant_id: Option<Uuid>,
    backfill_id: Option<Uuid>,
    attempt: Option<i16>,
    traceparent: Option<String>,
    kind: Option<String>,
    args: Option<Value>,
    max_attempts: Option<i16>,
    due: Option<DateTime<Utc>>,
}

impl ClaimRow {
    fn into_job(self, worker: Uuid) -> Option<ClaimedJob> {
        let run = RunId {
            job: self.id?,
            seq: self.seq?,
            run: self.run?,
            tenant: self.tenant_id?,
            attempt: self.attempt?.unsigned_abs(),
            worker,
            at: self.at,
            traceparent: self.traceparent,
        };
        Some(ClaimedJob {
            run,
            kind: self.kind?,
            args: self.args?,
            max_attempts: self.max_attempts?.unsigned_abs(),
            backfill: self.backfill_id,
            due: self.due?,
        })
    }
}

enum Answer {
    /// The claim was applied.
    Claimed(Vec<ClaimedJob>),
    /// Another claim has taken the claim sequence number: the view was outdated.
    Outdated,
    /// The worker's lease ran out.
    NoLease,
}

/// How far a claim read one level.
#[derive(Default)]
struct FetchProgress {
    /// The `seq` after the last job that was claimed from the cursor on.
    next_seq: i64,
    /// Requeued jobs that were claimed.
    requeued: Vec<i64>,
}

impl FetchProgress {
    fn add(&mut self, seq: i64, fetch: &Fetch) {
        if seq < fetch.cursor {
            self.requeued.push(seq);
        } else {
            self.next_seq = self.next_seq.max(seq + 1);
        }
    }

    /// The requeued jobs that the claim searched for: they are claimed now, or were not available
    /// any more.
    fn searched<'a>(&self, fetch: &'a Fetch) -> impl Iterator<Item = &'a i64> {
        // A claim that found as many as it was to fetch did not search for those after the last
        // one.
        let is_full = self.requeued.len() >= fetch.count.saturating_as::<usize>();
        let last = if is_full { self.requeued.iter().max().copied() } else { None };
        fetch.requeued.iter().filter(move |seq| last.is_none_or(|last| **seq <= last))
    }
}
