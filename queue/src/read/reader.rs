//! Reads single jobs for many callers at once: callers that ask while queries run share the next
//! query.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::{PgConnection, PgPool};
use tokio::sync::{Mutex, mpsc, oneshot};
use uuid::Uuid;

use crate::database::sticky::{StickyConnection, next_batch};
use crate::error::Result;
use crate::lanes::QueuePosition;
use crate::lanes::QueueViews;
use crate::read::row::JobRow;

/// Most queries that run at once. While they run, enough callers ask that the next query reads many
/// jobs.
const MAX_QUERIES: usize = 2;

/// Most jobs of one query.
const MAX_JOBS_PER_QUERY: usize = 100;

/// A job, and its position in its lane if it is available.
pub type JobWithPosition = (JobRow, Option<QueuePosition>);
type Question = (Uuid, oneshot::Sender<Option<JobWithPosition>>);

/// Reads single jobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: PgPool,
    views: QueueViews,
    questions: mpsc::UnboundedSender<Question>,
}

impl Reader {
    /// Starts the queries' tasks, which end with the last handle.
    pub fn start(pool: PgPool, views: QueueViews) -> Self {
        let (questions, asked) = mpsc::unbounded_channel();
        let asked = Arc::new(Mutex::new(asked));
        for _ in 0..MAX_QUERIES {
            tokio::spawn(answer_all(StickyConnection::new(pool.clone()), views.clone(), asked.clone()));
        }
        Self { pool, views, questions }
    }

    /// The job as it is now.
    ///
    /// # Errors
    /// When the database cannot be reached or refuses.
    pub async fn get(&self, id: Uuid) -> Result<Option<JobWithPosition>> {
        let (answer, answered) = oneshot::channel();
        // The tasks that answer end with the runtime only.
        let _ = self.questions.send((id, answer));
        match answered.await {
            Ok(job) => Ok(job),
            // The shared query failed. A query of the caller's own finds out why, or succeeds.
            Err(_) => Ok(find(&mut *self.pool.acquire().await?, &self.views, &[id]).await?.remove(&id)),
        }
    }
}

async fn answer_all(
    mut connection: StickyConnection,
    views: QueueViews,
    asked: Arc<Mutex<mpsc::UnboundedReceiver<Question>>>,
) {
    loop {
        let questions = next_batch(&asked, MAX_JOBS_PER_QUERY, &mut connection).await;
        if questions.is_empty() {
            return;
        }
        let ids: Vec<Uuid> = questions.iter().map(|(id, _)| *id).collect();
        let found = async { find(connection.conn().await?, &views, &ids).await }.await;
        match found {
            Ok(jobs) => answer(&jobs, questions),
            // The callers notice that there is no answer.
            Err(_) => connection.release(),
        }
    }
}

async fn find(
    conn: &mut PgConnection,
    views: &QueueViews,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, JobWithPosition>> {
    // Each job is looked up by its key: a query for many at once may be planned as a scan of the
    // table, when that is small, and be used when it has grown.
    let rows = job_rows!(
        from "unnest((select $1::uuid[])) as asked (id)
              cross join lateral (select * from queue.jobs where id = asked.id offset 0) as j",
        ids
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut positions = views.positions(conn, rows.iter().filter_map(JobRow::available)).await?;
    let found = |row: JobRow| {
        let position = positions.remove(&row.id);
        (row.id, (row, position))
    };
    Ok(rows.into_iter().map(found).collect())
}

fn answer(jobs: &HashMap<Uuid, JobWithPosition>, questions: Vec<Question>) {
    for (id, answer) in questions {
        // A caller that has gone needs no answer.
        let _ = answer.send(jobs.get(&id).cloned());
    }
}
