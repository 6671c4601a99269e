-- An Idempotency-Key is its caller's own: what another caller sends under the same key is another
-- request.
--
-- The version before this one sends keys of the service alone and inserts them `on conflict (key)`,
-- so that `key` stays unique by itself while hosts are updated: of every other caller it begins
-- with who that is.

alter table identity.idempotency_keys add column caller text not null default 'service';

comment on column identity.idempotency_keys.caller is
    'Who sent the key: service, key:ID for an API key, account:ID:TENANT for an account that acts '
    'for a tenant';
comment on column identity.idempotency_keys.key is
    'The key as the caller sent it; of callers other than the service after the caller and a space, '
    'which no key has';
