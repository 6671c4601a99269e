-- Idempotency-Key: the same key with the same request gives the same job again.

create table idempotency_keys (
    key          text primary key,
    request_hash bytea not null,
    job_id       uuid not null,
    created_at   timestamptz not null
);

create index idempotency_keys_created on idempotency_keys (created_at);

comment on table idempotency_keys is 'Requests that named an Idempotency-Key, kept for 24 hours';
comment on column idempotency_keys.key is 'The key as the caller sent it';
comment on column idempotency_keys.request_hash is 'SHA-256 of method, path, query and body';
comment on column idempotency_keys.job_id is 'The job that the first request enqueued';
comment on column idempotency_keys.created_at is 'When the first request came';
