comment on column idempotency_keys.job_id is 'The job or the backfill that the first request made; nil where it did something to one that was there';

alter table idempotency_keys drop column made;
