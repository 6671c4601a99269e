//! Looks up API keys, so that wrong ones cost next to nothing and slow nobody down.
//!
//! Keys that were right before share one query with all others that are presented at that moment.
//! They are looked up each time, so that a revoked key ends at once. All other keys share one small
//! query per `PACE`, however many are guessed. A right key that is presented for the first time
//! waits there, for that long at most.
//!
//! That a key does not exist is remembered for a minute. It is true as long as no key was added,
//! which that one query also tells, so a new key works at once on every host, though it was tried
//! before.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use subtle::ConstantTimeEq;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::sleep;
use weirgate_identity::keys::{self, Found, Hash, Holder, Presented};
use weirgate_queue::{StickyConnection, next_batch};

use crate::problem::Problem;
use crate::recent::Recent;

/// Between two queries for keys of strangers.
const PACE: Duration = Duration::from_millis(20);

/// Queries for known keys that are under way at once.
const QUERIES: usize = 2;

/// Most keys of one query.
const MOST: usize = 500;

/// For so long it is remembered that a key does not exist.
const REMEMBERED: Duration = Duration::from_mins(1);

/// Most keys that are remembered, of either kind: about 5 MB.
const MEMORY: usize = 30_000;

/// What was found about a key that does not exist.
#[derive(Debug, Clone, Copy)]
struct Missing {
    /// How often keys had been added.
    added: i64,
    at: Instant,
}

struct Question {
    key: Presented,
    /// How often keys had been added when it was found not to exist.
    missing: Option<i64>,
    answer: oneshot::Sender<Answer>,
}

enum Answer {
    Found(Found),
    /// There is none, of so many added.
    Missing(i64),
}

/// Looks keys up. Ends with its last handle.
#[derive(Debug)]
pub struct KeyLookups {
    known: Recent<Hash, ()>,
    missing: Recent<Hash, Missing>,
    of_known: mpsc::UnboundedSender<Question>,
    of_strangers: mpsc::UnboundedSender<Question>,
}

impl KeyLookups {
    pub fn start(pool: &PgPool) -> Self {
        let (of_known, asked) = mpsc::unbounded_channel();
        let asked = std::sync::Arc::new(Mutex::new(asked));
        for _ in 0..QUERIES {
            let (pool, asked) = (pool.clone(), asked.clone());
            tokio::spawn(async move { answer_all(pool, &asked, None).await });
        }
        let (of_strangers, asked) = mpsc::unbounded_channel();
        let (pool, asked) = (pool.clone(), Mutex::new(asked));
        tokio::spawn(async move { answer_all(pool, &asked, Some(PACE)).await });
        Self { known: Recent::new(MEMORY), missing: Recent::new(MEMORY), of_known, of_strangers }
    }

    /// Whether the key was right when it was last presented here.
    pub fn knows(&self, key: &Presented) -> bool {
        self.known.get(key.hash()).is_some()
    }

    /// Whose the key is; nobody's where it does not exist or may not be used.
    pub async fn holder(&self, key: &Presented) -> Result<Option<Holder>, Problem> {
        let is_known = self.knows(key);
        let (answer, answered) = oneshot::channel();
        let missing = self.missing.get(key.hash()).filter(|it| it.at.elapsed() < REMEMBERED);
        let question = Question { key: key.clone(), missing: missing.map(|it| it.added), answer };
        // Ends with the runtime only.
        let _ = if is_known { &self.of_known } else { &self.of_strangers }.send(question);
        // What failed is in the log.
        let answer = answered.await.map_err(|_| Problem::database_unavailable())?;
        if let Answer::Found(Found { holder: Some(holder) }) = answer {
            if !is_known {
                self.known.put(*key.hash(), ());
            }
            return Ok(Some(holder));
        }
        self.known.forget(key.hash());
        if let Answer::Missing(added) = answer
            && missing.is_none_or(|it| it.added != added)
        {
            self.missing.put(*key.hash(), Missing { added, at: Instant::now() });
        }
        Ok(None)
    }
}

async fn answer_all(pool: PgPool, asked: &Mutex<mpsc::UnboundedReceiver<Question>>, pace: Option<Duration>) {
    let mut held = StickyConnection::new(pool);
    loop {
        let questions = next_batch(asked, MOST, &mut held).await;
        if questions.is_empty() {
            return;
        }
        let are_strangers = pace.is_some();
        let mut answers = find(&mut held, &questions, are_strangers).await;
        if answers.is_err() {
            // The connection may have been lost since it was used last.
            held.release();
            answers = find(&mut held, &questions, are_strangers).await;
        }
        match answers {
            Ok(answers) => {
                for (question, answer) in questions.into_iter().zip(answers) {
                    // Who went away needs no answer.
                    let _ = question.answer.send(answer);
                }
            }
            Err(error) => {
                tracing::error!(%error, "could not look API keys up");
                held.release();
            }
        }
        if let Some(pace) = pace {
            sleep(pace).await;
        }
    }
}

/// An answer to each question, in their order.
async fn find(
    held: &mut StickyConnection,
    questions: &[Question],
    are_strangers: bool,
) -> sqlx::Result<Vec<Answer>> {
    let conn = held.conn().await?;
    // Asked first: a key that is added after this is found below, or its addition is seen the next
    // time.
    let added = if are_strangers { Some(keys::added(conn).await?) } else { None };
    let asked = questions.iter().filter(|it| added.is_none() || it.missing != added);
    let mut prefixes: Vec<String> = asked.map(|it| it.key.prefix().to_owned()).collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    let stored: HashMap<String, keys::Stored> = if prefixes.is_empty() {
        HashMap::new()
    } else {
        keys::stored(conn, &prefixes).await?.into_iter().map(|it| (it.prefix.clone(), it)).collect()
    };
    let mut answers = Vec::with_capacity(questions.len());
    for question in questions {
        let stored = stored.get(question.key.prefix());
        let stored = stored.filter(|it| question.key.hash().ct_eq(it.key_hash.as_slice()).into());
        answers.push(match (stored, added) {
            (Some(stored), _) => Answer::Found(stored.found()),
            (None, Some(added)) => Answer::Missing(added),
            (None, None) => Answer::Found(Found { holder: None }),
        });
    }
    let used = answers.iter().filter_map(|answer| match answer {
        Answer::Found(Found { holder: Some(holder) }) if holder.is_unseen => Some(holder.key),
        _ => None,
    });
    let used: Vec<uuid::Uuid> = used.collect();
    if !used.is_empty()
        && let Err(error) = keys::note_use(conn, &used).await
    {
        // The keys are good all the same: reads go on where the database takes no writes.
        tracing::debug!(%error, keys = used.len(), "could not note the use of keys");
        held.close();
    }
    Ok(answers)
}
