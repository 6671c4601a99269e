insert into msp.raw_csat_surveys as t (tenant_id, survey_id, ticket_id, score, sentiment, comment, submitted_at, updated_at_remote, read_at, ingested_at)
select $1, r.*, $2, queue.now()
from unnest($3::text[], $4::text[], $5::float8[], $6::text[], $7::text[], $8::timestamptz[], $9::timestamptz[]) as r (survey_id, ticket_id, score, sentiment, comment, submitted_at, updated_at_remote)
on conflict (tenant_id, survey_id) do update set
    ticket_id = excluded.ticket_id,
    score = excluded.score,
    sentiment = excluded.sentiment,
    comment = excluded.comment,
    submitted_at = excluded.submitted_at,
    updated_at_remote = excluded.updated_at_remote,
    read_at = excluded.read_at,
    deleted_at = null,
    ingested_at = excluded.ingested_at
-- An unchanged row is not written again, and an older reading does not take the place of a newer
-- one.
where (t.ticket_id, t.score, t.sentiment, t.comment, t.submitted_at, t.updated_at_remote, t.deleted_at)
    is distinct from (excluded.ticket_id, excluded.score, excluded.sentiment, excluded.comment, excluded.submitted_at, excluded.updated_at_remote, null)
  and msp.is_newer_row(t.updated_at_remote, t.read_at, t.deleted_at, excluded.updated_at_remote, excluded.read_at)
