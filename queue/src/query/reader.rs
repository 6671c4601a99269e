//! Single jobs for many who ask at once: who asks while a query is under way shares the next one.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::{Mutex, mpsc, oneshot};
use uuid::Uuid;

use super::JobRow;
use crate::error::Result;

/// Queries under way at once; so many more ask while they are that the next ones are well filled.
const QUERIES: usize = 2;

/// Jobs of one query.
const MOST: usize = 100;

type Question = (Uuid, oneshot::Sender<Option<JobRow>>);

/// Reads single jobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: PgPool,
    questions: mpsc::UnboundedSender<Question>,
}

impl Reader {
    /// Ends with its last handle.
    pub fn start(pool: PgPool) -> Self {
        let (questions, asked) = mpsc::unbounded_channel();
        let asked = Arc::new(Mutex::new(asked));
        for _ in 0..QUERIES {
            tokio::spawn(answer_all(pool.clone(), asked.clone()));
        }
        Self { pool, questions }
    }

    /// The job as it is now.
    pub async fn get(&self, id: Uuid) -> Result<Option<JobRow>> {
        let (answer, answered) = oneshot::channel();
        // Ends with the runtime only.
        let _ = self.questions.send((id, answer));
        match answered.await {
            Ok(job) => Ok(job),
            // The query failed: this one finds out why, or does better.
            Err(_) => super::get(&mut *self.pool.acquire().await?, id).await,
        }
    }
}

async fn answer_all(pool: PgPool, asked: Arc<Mutex<mpsc::UnboundedReceiver<Question>>>) {
    let mut questions = Vec::with_capacity(MOST);
    while asked.lock().await.recv_many(&mut questions, MOST).await > 0 {
        match answer(&pool, &questions).await {
            Ok(jobs) => tell(jobs, &mut questions),
            // Those who asked see that there is no answer.
            Err(_) => questions.clear(),
        }
    }
}

async fn answer(pool: &PgPool, questions: &[Question]) -> Result<Vec<JobRow>> {
    let ids: Vec<Uuid> = questions.iter().map(|(id, _)| *id).collect();
    Ok(job_rows!("where j.id = any($1)", &ids).fetch_all(&mut *pool.acquire().await?).await?)
}

fn tell(jobs: Vec<JobRow>, questions: &mut Vec<Question>) {
    let jobs: HashMap<Uuid, JobRow> = jobs.into_iter().map(|job| (job.id, job)).collect();
    for (id, answer) in questions.drain(..) {
        // Who went away needs no answer.
        let _ = answer.send(jobs.get(&id).cloned());
    }
}
