-- What was done to something is found by what it was done to.

create index audit_of_target on audit (target, id);

comment on column idempotency_keys.job_id is 'The job or the backfill that the first request made; nil where it did something to one that was there';
