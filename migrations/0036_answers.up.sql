-- A repeat of a request that enqueued several jobs names the same ones.

alter table idempotency_keys add column made uuid[];

comment on column idempotency_keys.made is 'What else the first request made, where that is more than one: the jobs of a schedule that was run; null for all else';
comment on column idempotency_keys.job_id is
    'The job, backfill, tenant or API key that the first request made; nil where it did something to one that was there. Of an API key the id alone: no secret is kept';
