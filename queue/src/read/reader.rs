//! Single jobs for many who ask at once: who asks while a query is under way shares the next one.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::{PgConnection, PgPool};
use tokio::sync::{Mutex, mpsc, oneshot};
use uuid::Uuid;

use super::JobRow;
use crate::database::held::{Held, gather};
use crate::error::Result;
use crate::lanes::Books;
use crate::lanes::facts::Standing;

/// Queries under way at once; so many more ask while they are that the next ones are well filled.
const QUERIES: usize = 2;

/// Jobs of one query.
const MOST: usize = 100;

/// A job, and where it stands if it may start.
pub type Found = (JobRow, Option<Standing>);
type Question = (Uuid, oneshot::Sender<Option<Found>>);

/// Reads single jobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: PgPool,
    books: Books,
    questions: mpsc::UnboundedSender<Question>,
}

impl Reader {
    /// Ends with its last handle.
    pub fn start(pool: PgPool, books: Books) -> Self {
        let (questions, asked) = mpsc::unbounded_channel();
        let asked = Arc::new(Mutex::new(asked));
        for _ in 0..QUERIES {
            tokio::spawn(answer_all(Held::new(pool.clone()), books.clone(), asked.clone()));
        }
        Self { pool, books, questions }
    }

    /// The job as it is now.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn get(&self, id: Uuid) -> Result<Option<Found>> {
        let (answer, answered) = oneshot::channel();
        // Ends with the runtime only.
        let _ = self.questions.send((id, answer));
        match answered.await {
            Ok(job) => Ok(job),
            // The query failed: this one finds out why, or does better.
            Err(_) => Ok(find(&mut *self.pool.acquire().await?, &self.books, &[id]).await?.remove(&id)),
        }
    }
}

async fn answer_all(mut held: Held, books: Books, asked: Arc<Mutex<mpsc::UnboundedReceiver<Question>>>) {
    loop {
        let questions = gather(&asked, MOST, &mut held).await;
        if questions.is_empty() {
            return;
        }
        let ids: Vec<Uuid> = questions.iter().map(|(id, _)| *id).collect();
        let found = async { find(held.conn().await?, &books, &ids).await }.await;
        match found {
            Ok(jobs) => tell(&jobs, questions),
            // Those who asked see that there is no answer.
            Err(_) => held.release(),
        }
    }
}

async fn find(conn: &mut PgConnection, books: &Books, ids: &[Uuid]) -> Result<HashMap<Uuid, Found>> {
    // One by one by their key: what looks for many at once may be planned as a walk over a table that is small when it is planned,
    // and has grown since.
    let rows = job_rows!(
        from "unnest((select $1::uuid[])) as asked (id)
              cross join lateral (select * from queue.jobs where id = asked.id offset 0) as j",
        ids
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut standings = books.standings(conn, &rows).await?;
    let found = |row: JobRow| {
        let standing = standings.remove(&row.id);
        (row.id, (row, standing))
    };
    Ok(rows.into_iter().map(found).collect())
}

fn tell(jobs: &HashMap<Uuid, Found>, questions: Vec<Question>) {
    for (id, answer) in questions {
        // Who went away needs no answer.
        let _ = answer.send(jobs.get(&id).cloned());
    }
}
