insert into raw_csat_surveys as t (tenant_id, survey_id, ticket_id, score, sentiment, comment, submitted_at, ingested_at)
select $1, r.*, queue.now()
from unnest($2::text[], $3::text[], $4::float8[], $5::text[], $6::text[], $7::timestamptz[]) as r (survey_id, ticket_id, score, sentiment, comment, submitted_at)
on conflict (tenant_id, survey_id) do update set
    ticket_id = excluded.ticket_id,
    score = excluded.score,
    sentiment = excluded.sentiment,
    comment = excluded.comment,
    submitted_at = excluded.submitted_at,
    ingested_at = excluded.ingested_at
-- An unchanged row is not written again.
where (t.ticket_id, t.score, t.sentiment, t.comment, t.submitted_at)
    is distinct from (excluded.ticket_id, excluded.score, excluded.sentiment, excluded.comment, excluded.submitted_at)
