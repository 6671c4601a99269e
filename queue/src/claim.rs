//! Claim: a worker takes a batch of jobs that may start, decided once for all hosts.

pub(crate) mod holdings;
pub mod mark;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::claim::mark::mark;
use crate::error::Result;
use crate::job::RunId;
use crate::lanes::Book;
use crate::lanes::plan::{Plan, Want};

pub use crate::lanes::plan::Room;

/// A job that this worker runs now.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// Which attempt it is, and of what.
    pub run: RunId,
    /// Which handler runs it.
    pub kind: String,
    /// Arguments.
    pub args: Value,
    /// Attempts after which a failure discards it.
    pub max_attempts: u16,
    /// The backfill it belongs to.
    pub backfill: Option<Uuid>,
    /// Since when it could have started; the database's clock.
    pub due: DateTime<Utc>,
}

/// What a look at the queue brought.
#[derive(Debug, Default)]
pub struct Claim {
    /// Jobs of the worker, in the order in which they start.
    pub jobs: Vec<ClaimedJob>,
    /// Something was left to do when this was decided: look again at once.
    pub again: bool,
    /// The turn in which they were taken.
    pub no: i64,
    /// When a throttled lane is due for a look; the database's clock.
    pub next_due: Option<DateTime<Utc>>,
    /// The database's time of the look.
    pub now: DateTime<Utc>,
}

/// One worker's claims from one queue.
#[derive(Debug)]
pub struct Claimer {
    book: Book,
    lost: Option<Lost>,
}

/// A claim whose answer did not come: the connection broke, and what the database did is open.
#[derive(Debug, Clone, Copy)]
struct Lost {
    /// The worker that asked, and for which turn.
    worker: Uuid,
    no: i64,
}

impl Claimer {
    /// Begins with the picture of `queue` as of now.
    pub async fn open(conn: &mut PgConnection, queue: &str) -> Result<Self> {
        Ok(Self { book: Book::open(conn, queue).await?, lost: None })
    }

    /// The history of the database that it claims in.
    pub(crate) fn history(&self) -> Uuid {
        self.book.history
    }

    /// A connection broke: the next claim reads its view anew.
    pub(crate) fn begin_anew(&mut self) {
        self.book.begin_anew();
    }

    /// The picture that claims are decided on.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Takes the jobs that are next, as far as there is `room`, for `worker`: lanes by fair share, within limits; inside
    /// a lane higher priority first, then in order of enqueueing.
    ///
    /// A worker whose lease ran out gets nothing. After an error the outcome is open: the next call finds out, and
    /// returns what the lost answer had.
    pub async fn claim(&mut self, conn: &mut PgConnection, worker: Uuid, room: Room) -> Result<Claim> {
        let history = self.book.history;
        self.book.refresh(conn).await?;
        if history != self.book.history {
            // What was claimed there is not known here.
            self.lost = None;
        }
        let mut claim = self.take_up(conn).await?.unwrap_or_default();
        claim.now = self.book.now();
        claim.next_due = self.book.next_due();
        if !claim.jobs.is_empty() {
            // Handed over before anything else can go wrong.
            claim.again = true;
            return Ok(claim);
        }
        if let Some(plan) = self.book.plan(room) {
            let before = self.lost;
            claim.no = self.book.no + 1;
            self.lost = Some(Lost { worker, no: claim.no });
            match self.ask(conn, worker, &plan).await? {
                Answer::Taken(jobs) => {
                    self.lost = None;
                    claim.again = !jobs.is_empty();
                    claim.jobs.extend(jobs);
                }
                // Perhaps by the very claim whose answer was lost.
                Answer::Late => (self.lost, claim.again) = (before, true),
                Answer::NoLease => self.lost = before,
            }
        }
        Ok(claim)
    }

    /// The jobs of a claim whose answer was lost, if it turns out that it happened. Whoever took the turn: only its own
    /// claim is found under its id.
    async fn take_up(&mut self, conn: &mut PgConnection) -> Result<Option<Claim>> {
        let Some(Lost { worker, no }) = self.lost.filter(|lost| lost.no <= self.book.no) else {
            return Ok(None);
        };
        let jobs = taken_in(conn, self.book.queue(), worker, no).await?;
        self.lost = None;
        Ok(Some(Claim { jobs, no, ..Claim::default() }))
    }

    /// One statement: the turn, the limits' new state and the jobs, or nothing.
    async fn ask(&mut self, conn: &mut PgConnection, worker: Uuid, plan: &Plan) -> Result<Answer> {
        let (marks, wants) = (&plan.marks, &plan.wants);
        let strays: Vec<(i32, i64)> = (1_i32..)
            .zip(wants)
            .flat_map(|(number, want)| want.strays.iter().map(move |seq| (number, *seq)))
            .collect();
        macro_rules! column {
            ($of:ident, $field:expr) => {
                $of.iter().map($field).collect::<Vec<_>>()
            };
        }
        let rows = sqlx::query_file!(
            "src/claim/claim.sql",
            self.book.queue,
            self.book.no + 1,
            worker,
            &plan.virtual_times,
            self.book.queue_tat,
            plan.queue_adds_us,
            &column!(marks, |mark| mark.flow.tenant),
            &column!(marks, |mark| mark.flow.backfill) as &[Option<Uuid>],
            &column!(marks, |mark| mark.tag),
            &column!(marks, |mark| mark.tat) as &[Option<DateTime<Utc>>],
            &column!(marks, |mark| mark.adds_us),
            &column!(wants, |want| want.flow.tenant),
            &column!(wants, |want| want.flow.backfill) as &[Option<Uuid>],
            &column!(wants, |want| want.priority),
            &column!(wants, |want| want.from),
            &column!(wants, |want| want.fresh),
            &column!(wants, |want| i32::try_from(want.count).unwrap_or(i32::MAX)),
            &column!(strays, |(want, _)| *want),
            &column!(strays, |(_, seq)| *seq),
            self.book.oldest_claim,
            self.book.seen().xmax,
            &self.book.seen().under_way,
        )
        .fetch_all(conn)
        .await?;
        match rows.first() {
            Some(row) if row.taken => {}
            Some(row) if row.held => return Ok(Answer::Late),
            _ => return Ok(Answer::NoLease),
        }
        let mut cursors: HashMap<usize, Cursor> = HashMap::new();
        let mut jobs = Vec::with_capacity(rows.len());
        for row in rows {
            let (Some(number), Some(seq), Some(job), Some(run), Some(tenant)) =
                (row.want, row.seq, row.id, row.run, row.tenant_id)
            else {
                continue;
            };
            let number = usize::try_from(number - 1).expect("counted from 1");
            let cursor = cursors.entry(number).or_default();
            if seq < wants[number].from {
                cursor.strays.push(seq);
            } else {
                cursor.past = cursor.past.max(seq + 1);
            }
            let attempt = row.attempt.unwrap_or_default().unsigned_abs();
            jobs.push(ClaimedJob {
                run: RunId {
                    job,
                    seq,
                    run,
                    tenant,
                    attempt,
                    worker,
                    at: row.at,
                    traceparent: row.traceparent,
                },
                kind: row.kind.unwrap_or_default(),
                args: row.args.unwrap_or_default(),
                max_attempts: row.max_attempts.unwrap_or_default().unsigned_abs(),
                backfill: row.backfill_id,
                due: row.due.unwrap_or(row.at),
            });
        }
        for (number, want) in wants.iter().enumerate() {
            let cursor = cursors.remove(&number).unwrap_or_default();
            self.book.forget_strays(want.flow, want.priority, cursor.asked_for(want));
            self.book.advance(want.flow, want.priority, cursor.past);
        }
        Ok(Answer::Taken(jobs))
    }
}

enum Answer {
    /// The turn was this claim's.
    Taken(Vec<ClaimedJob>),
    /// Another one took the turn.
    Late,
    /// The worker's lease ran out.
    NoLease,
}

/// How far a lane was read.
#[derive(Default)]
struct Cursor {
    /// Past what was claimed.
    past: i64,
    /// Strays that were claimed.
    strays: Vec<i64>,
}

impl Cursor {
    /// The strays that were looked for: they are claimed now, or were not available any more.
    fn asked_for<'a>(&self, want: &'a Want) -> impl Iterator<Item = &'a i64> {
        // With as many as were wanted, those behind the last one were not looked for.
        let is_full = self.strays.len() >= usize::try_from(want.count).unwrap_or_default();
        let last = if is_full { self.strays.iter().max().copied() } else { None };
        want.strays.iter().filter(move |seq| last.is_none_or(|last| **seq <= last))
    }
}

/// What a claim took whose answer was lost: nobody else can have it, and it has not started.
async fn taken_in(conn: &mut PgConnection, queue: &str, worker: Uuid, no: i64) -> Result<Vec<ClaimedJob>> {
    let rows = sqlx::query!(
        r#"select j.id, j.seq, t.run as "run!", t.at as "at!", tenant_id, backfill_id, traceparent, kind, args, max_attempts,
               attempt, scheduled_at, j.run = t.run as "marked!"
           from queue.in_flight t join queue.jobs j using (seq)
           where t.worker_id = $1 and t.queue = $2 and t.claim_seq = $3
             and (j.run = t.run and j.state = 'running' or j.run = t.run - 1 and j.state = 'available')
           order by j.priority desc, j.seq"#,
        worker,
        queue,
        no
    )
    .fetch_all(conn)
    .await?;
    if !rows.is_empty() {
        tracing::info!(jobs = rows.len(), queue, "a claim whose answer was lost is taken up");
    }
    let jobs = rows.into_iter().map(|row| ClaimedJob {
        run: RunId {
            job: row.id,
            seq: row.seq,
            run: row.run,
            tenant: row.tenant_id,
            attempt: row.attempt.unsigned_abs() + u16::from(!row.marked),
            worker,
            at: row.at,
            traceparent: row.traceparent,
        },
        kind: row.kind,
        args: row.args,
        max_attempts: row.max_attempts.unsigned_abs(),
        backfill: row.backfill_id,
        due: row.scheduled_at,
    });
    Ok(jobs.collect())
}

/// One claim by a worker that has not looked before, with the jobs marked at once: for tests and tools. A worker keeps its [`Claimer`].
pub async fn claim(
    conn: &mut PgConnection,
    worker: Uuid,
    queue: &str,
    limit: usize,
) -> Result<Vec<ClaimedJob>> {
    let mut claimer = Claimer::open(conn, queue).await?;
    loop {
        let claim = claimer.claim(conn, worker, Room::of(limit)).await?;
        if !claim.jobs.is_empty() || !claim.again {
            mark(conn, claim.jobs.iter().map(|job| job.run.start()).collect()).await?;
            return Ok(claim.jobs);
        }
    }
}
