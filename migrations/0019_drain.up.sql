-- Somebody may tell a worker to claim nothing more and to end when its jobs have ended.

alter table queue.workers add column drain_requested_at timestamptz;

comment on column queue.workers.drain_requested_at is 'Since when it claims nothing more: it ends with its last running job';

-- Readers of one tenant are told whether somebody takes from a queue.
grant select (drain_requested_at) on queue.workers to weirgate_tenant;
