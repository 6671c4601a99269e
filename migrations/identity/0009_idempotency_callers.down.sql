-- Keys of others than the service are unknown to the version before.
delete from identity.idempotency_keys where caller <> 'service';
alter table identity.idempotency_keys drop column caller;

comment on column identity.idempotency_keys.key is 'The key as the caller sent it';
