drop table identity.idempotency_keys;
