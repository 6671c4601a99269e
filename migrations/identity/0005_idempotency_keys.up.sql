-- The header Idempotency-Key of every HTTP surface: the same key with the same request gives the
-- same job again.

create table identity.idempotency_keys (
    key          text primary key,
    request_hash bytea not null,
    job_id       uuid not null,
    created_at   timestamptz not null,
    made         uuid[]
);

create index idempotency_keys_created on identity.idempotency_keys (created_at);

comment on table identity.idempotency_keys is
    'Requests that named an Idempotency-Key, kept for 24 hours';
comment on column identity.idempotency_keys.key is 'The key as the caller sent it';
comment on column identity.idempotency_keys.request_hash is
    'SHA-256 of method, path, query and body';
comment on column identity.idempotency_keys.job_id is
    'The job, backfill, tenant or API key that the first request made; nil where it did something '
    'to one that was there. Of an API key the id alone: no secret is kept';
comment on column identity.idempotency_keys.created_at is 'When the first request came';
comment on column identity.idempotency_keys.made is
    'What else the first request made, where that is more than one: the jobs of a schedule that '
    'was run; null for all else';
