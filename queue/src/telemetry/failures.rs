//! Failures grouped by what they have in common: the kind of job, the code, and the message without
//! the parts that differ from one failure to the next.

use az::SaturatingAs;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::database::column::column;
use crate::error::Result;

/// The longest pattern, in characters.
const MAX_PATTERN_CHARS: usize = 200;

/// Words after which a number says what happened, rather than to whom.
const KEEP_NUMBER_AFTER: [&str; 5] = ["http", "status", "code", "sqlstate", "error"];

/// What a message has in common with others of its sort: its first line, with `…` in the place of
/// quoted text and `#` in the place of words with digits. The number after a word such as HTTP
/// stays.
pub fn pattern(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let mut pattern = String::new();
    let mut rest = line;
    let mut keeps_number = false;
    while let Some(first) = rest.chars().next() {
        if let '"' | '`' = first
            && let Some(end) = rest[1..].find(first)
        {
            pattern.extend([first, '…', first]);
            rest = &rest[end + 2..];
            keeps_number = false;
        } else if first.is_alphanumeric() {
            let end =
                rest.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-')).unwrap_or(rest.len());
            let word = &rest[..end];
            let differs = word.contains(|c: char| c.is_ascii_digit()) && !keeps_number;
            pattern.push_str(if differs { "#" } else { word });
            keeps_number = KEEP_NUMBER_AFTER.iter().any(|it| word.eq_ignore_ascii_case(it));
            rest = &rest[end..];
        } else {
            // Punctuation between the word and the number does not matter.
            pattern.push(if first.is_control() { ' ' } else { first });
            rest = &rest[first.len_utf8()..];
        }
    }
    match pattern.char_indices().nth(MAX_PATTERN_CHARS) {
        Some((end, _)) => pattern[..end].to_owned() + "…",
        None => pattern,
    }
}

/// Attempts that failed in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureSighting {
    /// The kind of job.
    pub kind: String,
    /// The failure's code.
    pub code: String,
    /// Its message's [`pattern`].
    pub pattern: String,
    /// How many attempts failed so.
    pub count: i64,
}

/// Adds failures to the counts of their groups.
pub async fn record(conn: &mut PgConnection, failures: &[FailureSighting]) -> Result<()> {
    if failures.is_empty() {
        return Ok(());
    }
    let ids = sqlx::query!(
        r#"insert into queue.failures as f (id, kind, code, pattern, first_seen, last_seen, seen)
           select queue.failure_id(s.kind, s.code, s.pattern), s.kind, s.code, s.pattern, queue.now(), queue.now(), s.count
           from unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) as s (kind, code, pattern, count)
           order by 1
           on conflict (id) do update set last_seen = greatest(f.last_seen, excluded.last_seen), seen = f.seen + excluded.seen
           returning id, kind, code, pattern"#,
        &column(failures, |failure| failure.kind.clone()),
        &column(failures, |failure| failure.code.clone()),
        &column(failures, |failure| failure.pattern.clone()),
        &column(failures, |failure| failure.count)
    )
    .fetch_all(&mut *conn)
    .await?;
    let count_of = |kind: &str, code: &str, pattern: &str| {
        let same = failures.iter().filter(|it| it.kind == kind && it.code == code && it.pattern == pattern);
        same.map(|it| it.count).sum::<i64>()
    };
    sqlx::query!(
        "insert into queue.failure_hours as h (failure_id, at, seen)
         select s.id, date_trunc('hour', queue.now(), 'UTC'), s.seen from unnest($1::bigint[], $2::bigint[]) as s (id, seen)
         order by 1
         on conflict (failure_id, at) do update set seen = h.seen + excluded.seen",
        &column(&ids, |row| row.id),
        &column(&ids, |row| count_of(&row.kind, &row.code, &row.pattern))
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A group of failures, and how many jobs it has left retryable or discarded.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The id of the group: 52 bits, so that JavaScript can hold it.
    pub id: i64,
    /// The kind of job.
    pub kind: String,
    /// The code.
    pub code: String,
    /// The [`pattern`] of the messages.
    pub pattern: String,
    /// When the first such attempt failed.
    pub first_seen: DateTime<Utc>,
    /// When the last such attempt failed.
    pub last_seen: DateTime<Utc>,
    /// The number of attempts that failed so.
    pub seen: i64,
    /// Jobs whose last attempt failed so and that are retried, counted up to [`MAX_COUNTED_JOBS`].
    pub retryable: i64,
    /// Jobs that were discarded after it, counted up to [`MAX_COUNTED_JOBS`].
    pub discarded: i64,
    /// The newest of these jobs.
    pub job: Option<Uuid>,
}

/// The most jobs of a failure that are counted: the newest ones.
pub const MAX_COUNTED_JOBS: i64 = 500;

/// The most failures that one page reads, including those that no job is left of.
const MAX_PAGE_ROWS: i64 = 100;

/// A page of failures.
#[derive(Debug)]
pub struct FailurePage {
    /// The failures, the last met first.
    pub rows: Vec<Failure>,
    /// Where the next page begins: its failures were last met before that time, or at that time
    /// with a smaller id. None when there are no more.
    pub next: Option<(DateTime<Utc>, i64)>,
}

/// Failures that still have retryable or discarded jobs: at most `limit`, and fewer where few of
/// the failures that the page reads still have jobs.
pub async fn list(
    conn: &mut PgConnection,
    before: Option<(DateTime<Utc>, i64)>,
    limit: i64,
) -> Result<FailurePage> {
    let mut rows = sqlx::query_as!(
        Failure,
        r#"select f.id, f.kind, f.code, f.pattern, f.first_seen, f.last_seen, f.seen,
               j.retryable as "retryable!", j.discarded as "discarded!",
               (
                   select id from queue.jobs
                   where failure_id >= f.id and (failure_id, seq) <= (f.id, 9223372036854775807) and failure_id is not null
                     and cold_state in ('retryable', 'discarded')
                   order by failure_id desc, seq desc limit 1
               ) as job
           from (
               select * from queue.failures
               where $1::timestamptz is null or (last_seen, id) < ($1, $2::bigint)
               order by last_seen desc, id desc limit $3
           ) f
           cross join lateral (
               select count(*) filter (where cold_state = 'retryable') as retryable, count(*) filter (where cold_state = 'discarded') as discarded
               from (
                   select cold_state from queue.jobs
                   where (failure_id, seq) >= (f.id, 0) and failure_id <= f.id and failure_id is not null
                     and cold_state in ('retryable', 'discarded')
                   order by failure_id, seq limit $4::bigint + 1
               ) newest
           ) j
           order by f.last_seen desc, f.id desc"#,
        before.map(|(at, _)| at),
        before.map(|(_, id)| id),
        MAX_PAGE_ROWS,
        MAX_COUNTED_JOBS
    )
    .fetch_all(conn)
    .await?;
    let mut next = (i64::try_from(rows.len()) == Ok(MAX_PAGE_ROWS))
        .then(|| rows.last().map(|row| (row.last_seen, row.id)))
        .flatten();
    rows.retain(|row| row.retryable + row.discarded > 0);
    let limit = limit.saturating_as::<usize>();
    if rows.len() > limit {
        rows.truncate(limit);
        next = rows.last().map(|row| (row.last_seen, row.id));
    }
    Ok(FailurePage { rows, next })
}

/// The kind, code and pattern of one failure, whether or not it still has jobs.
pub async fn get(conn: &mut PgConnection, id: i64) -> Result<Option<(String, String, String)>> {
    let row = sqlx::query!("select kind, code, pattern from queue.failures where id = $1", id)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|row| (row.kind, row.code, row.pattern)))
}

/// How often each of `failures` was met in each of the last `hours`, the current hour last.
pub async fn by_hour(conn: &mut PgConnection, failures: &[i64], hours: u16) -> Result<Vec<Vec<i64>>> {
    let rows = sqlx::query!(
        r#"select w.no as "no!", h.seen, (extract(epoch from date_trunc('hour', queue.now(), 'UTC') - h.at) / 3600)::bigint as "ago!"
           from unnest($1::bigint[]) with ordinality as w (id, no)
           cross join lateral (
               select * from queue.failure_hours
               where failure_id = w.id and at > queue.now() - make_interval(hours => $2) offset 0
           ) h"#,
        failures,
        i32::from(hours)
    )
    .fetch_all(conn)
    .await?;
    let mut all = vec![vec![0; usize::from(hours)]; failures.len()];
    for row in rows {
        let (Ok(no), Ok(ago)) = (usize::try_from(row.no - 1), usize::try_from(row.ago)) else { continue };
        if let Some(hour) = usize::from(hours).checked_sub(ago + 1) {
            all[no][hour] += row.seen;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::pattern;

    #[test]
    fn parts_that_differ_are_left_out() {
        for (message, expected) in [
            ("no tenant \"acme\"", "no tenant \"…\""),
            ("page 17 of 20: timed out after 30s", "page # of #: timed out after #"),
            ("HTTP 503 from https://host-12.example/a", "HTTP 503 from https://#.example/a"),
            ("status: 429, again in 12 s", "status: 429, again in # s"),
            ("0198c0de-1111-7222-8333-444455556666 is gone\nand more", "# is gone"),
            ("it can't be", "it can't be"),
            ("an \"open quote", "an \"open quote"),
            ("", ""),
        ] {
            assert_eq!(pattern(message), expected);
        }
    }

    proptest! {
        #[test]
        fn pattern_is_short_and_has_no_control_characters(message in ".{0,400}") {
            let once = pattern(&message);
            prop_assert!(once.chars().count() <= 201);
            prop_assert!(!once.contains(char::is_control));
        }

        #[test]
        fn messages_that_differ_in_numbers_have_one_pattern(a in 0_u64.., b in 0_u64..) {
            prop_assert_eq!(pattern(&format!("row {a} is bad")), pattern(&format!("row {b} is bad")));
        }
    }
}
