//! `Idempotency-Key`: the same key with the same request of the same sender is the same job,
//! backfill, tenant or API key, for 24 hours. What is stored names that alone; it is read anew for
//! each answer.

mod sender;

use std::collections::HashSet;

use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use weirgate_queue::{column, read};

use crate::problem::{FieldError, Problem};

pub use sender::Sender;

/// Says of an answer that the request was answered before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

const HEADER: &str = "idempotency-key";
const MAX_LENGTH: usize = 255;

/// Stands for the job where a request has made none.
const ACT: Uuid = Uuid::nil();

/// A key, who sent it, and what it was sent with.
#[derive(Debug)]
pub struct IdempotencyKey {
    sender: Sender,
    /// As it is stored: no two senders have the same.
    key: String,
    request_hash: Vec<u8>,
}

/// Forgets keys that are older than 24 hours; returns how many.
pub async fn prune(pool: &PgPool) -> sqlx::Result<u64> {
    let deleted = sqlx::query!(
        "delete from identity.idempotency_keys where created_at <= queue.now() - interval '24 hours'"
    )
    .execute(pool)
    .await?
    .rows_affected();
    Ok(deleted)
}

/// What a key says of a request.
pub enum Claimed {
    /// Nothing yet: the request is the first of its key, and stored under it.
    First,
    /// It enqueued this job, or made this backfill, tenant or API key, before.
    Replay(Uuid),
}

/// Stores keys that are new, each for its job, and returns which these are. No key may come twice.
pub async fn claim_new(
    conn: &mut PgConnection,
    keys: &[(&IdempotencyKey, Uuid)],
) -> Result<HashSet<String>, Problem> {
    if keys.is_empty() {
        return Ok(HashSet::new());
    }
    let stored = sqlx::query_scalar!(
        "insert into identity.idempotency_keys as k (key, caller, request_hash, job_id, created_at)
         select n.key, n.caller, n.request_hash, n.job_id, queue.now()
         from unnest($1::text[], $2::text[], $3::bytea[], $4::uuid[]) as n (key, caller, request_hash, job_id)
         order by n.key
         on conflict (key) do update
         set request_hash = excluded.request_hash, job_id = excluded.job_id, created_at = excluded.created_at, made = null
         where k.created_at <= queue.now() - interval '24 hours'
         returning key",
        &column(keys, |(key, _)| key.key.clone()),
        &column(keys, |(key, _)| key.sender.to_string()),
        &column(keys, |(key, _)| key.request_hash.clone()),
        &column(keys, |(_, job)| *job),
    )
    .fetch_all(conn)
    .await?;
    Ok(stored.into_iter().collect())
}

impl IdempotencyKey {
    /// As it is stored: no two senders have the same.
    pub fn stored(&self) -> &str {
        &self.key
    }

    /// The key of a request, if it has any. A blank one counts as not given, and equal ones as one.
    pub fn of(head: &Parts, body: &[u8]) -> Result<Option<Self>, Problem> {
        let target = head.uri.path_and_query().map_or("", PathAndQuery::as_str);
        let parts = [head.method.as_str().as_bytes(), target.as_bytes(), body];
        let given =
            head.headers.get_all(HEADER).iter().filter(|value| !value.as_bytes().trim_ascii().is_empty());
        let mut values: Vec<&HeaderValue> = given.collect();
        values.dedup();
        let mut values = values.into_iter();
        let Some(value) = values.next() else { return Ok(None) };
        let key = value.as_bytes();
        let fits = (1..=MAX_LENGTH).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
        match std::str::from_utf8(key) {
            Ok(key) if fits && values.next().is_none() => {
                let mut hash = Sha256::new();
                for part in parts {
                    hash.update(part.len().to_be_bytes());
                    hash.update(part);
                }
                let sender = Sender::of(&head.extensions)?;
                let key = match sender {
                    Sender::Service => key.to_owned(),
                    sender => format!("{sender} {key}"),
                };
                Ok(Some(Self { sender, key, request_hash: hash.finalize().to_vec() }))
            }
            _ => Err(Problem::invalid(vec![FieldError {
                field: "Idempotency-Key".to_owned(),
                message: format!("expected one value of 1 to {MAX_LENGTH} visible ASCII characters"),
            }])),
        }
    }

    /// Stores the key for `job` (or a backfill, a tenant, an API key), which is about to be stored,
    /// unless an earlier request did so. A request with the same key that is under way is waited
    /// for: it holds the row until its transaction ends.
    pub async fn claim(&self, conn: &mut PgConnection, job: Uuid) -> Result<Claimed, Problem> {
        let stored = sqlx::query_scalar!(
            "insert into identity.idempotency_keys as k (key, caller, request_hash, job_id, created_at)
             values ($1, $2, $3, $4, queue.now())
             on conflict (key) do update
             set request_hash = excluded.request_hash, job_id = excluded.job_id, created_at = excluded.created_at, made = null
             where k.created_at <= queue.now() - interval '24 hours'
             returning job_id",
            self.key,
            self.sender.to_string(),
            self.request_hash,
            job
        )
        .fetch_optional(&mut *conn)
        .await?;
        if stored.is_some() {
            return Ok(Claimed::First);
        }
        let earlier = sqlx::query!(
            "select request_hash, job_id from identity.idempotency_keys where key = $1 for update",
            self.key
        )
        .fetch_one(&mut *conn)
        .await?;
        if earlier.request_hash != self.request_hash {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "Idempotency key reused",
                "the Idempotency-Key was used with a different request before",
            ));
        }
        // A statement of its own: one that waited for the earlier request would not see that
        // request's job.
        let is_known = read::is_known(&mut *conn, earlier.job_id).await?;
        let kept = is_known
            || sqlx::query_scalar!(
                r#"select exists (select from identity.tenants where id = $1)
                or exists (select from identity.api_keys where id = $1) as "kept!""#,
                earlier.job_id
            )
            .fetch_one(&mut *conn)
            .await?;
        if !kept && earlier.job_id != ACT {
            self.point_to(conn, job).await?;
            return Ok(Claimed::First);
        }
        Ok(Claimed::Replay(earlier.job_id))
    }

    /// Stores the key for an act on something that is there, which makes nothing of its own, unless
    /// an earlier request did so.
    pub async fn claim_act(&self, conn: &mut PgConnection) -> Result<Claimed, Problem> {
        self.claim(conn, ACT).await
    }

    /// Keeps what else the request made, for its repeats.
    pub async fn keep(&self, conn: &mut PgConnection, made: &[Uuid]) -> sqlx::Result<()> {
        sqlx::query!("update identity.idempotency_keys set made = $2 where key = $1", self.key, made)
            .execute(conn)
            .await?;
        Ok(())
    }

    /// What an earlier request with the same key has kept.
    pub async fn kept(&self, conn: &mut PgConnection) -> sqlx::Result<Vec<Uuid>> {
        let made = sqlx::query_scalar!("select made from identity.idempotency_keys where key = $1", self.key)
            .fetch_optional(conn)
            .await?;
        Ok(made.flatten().unwrap_or_default())
    }

    /// Names the job that the request turned out to be about.
    pub async fn point_to(&self, conn: &mut PgConnection, job: Uuid) -> sqlx::Result<()> {
        sqlx::query!("update identity.idempotency_keys set job_id = $2 where key = $1", self.key, job)
            .execute(conn)
            .await?;
        Ok(())
    }
}
