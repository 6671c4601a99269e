-- Turns the schema of the old history, as its last migration left it, into that of the baselines:
-- names, and the schema that each table is in. Rows stay where they are. Functions and comments are
-- not here: they are taken from the baselines afterwards.
create schema identity;
create schema msp;

-- What is every domain's.
alter table public.tenants set schema identity;
alter table public.api_keys set schema identity;
alter table public.api_key_changes set schema identity;
alter table public.users set schema identity;
alter table public.sessions set schema identity;
alter table public.known_browsers set schema identity;
alter table public.audit set schema identity;
alter table public.idempotency_keys set schema identity;
alter view public.time_zones set schema identity;
alter function public.current_tenant() set schema identity;
alter function public.local_day_start(date, text) set schema identity;
alter function public.count_added_api_keys() set schema identity;
alter function public.keep_tenant_identity() set schema identity;
alter function public.refuse_unknown_time_zones() set schema identity;
alter function public.audit_is_only_added_to() set schema identity;
alter table identity.api_key_changes rename column is_only to only_row;
alter table identity.api_key_changes rename constraint api_key_changes_is_only_check to api_key_changes_only_row_check;

-- What is of the MSP domain.
alter table public.raw_tickets set schema msp;
alter table public.raw_time_entries set schema msp;
alter table public.raw_csat_surveys set schema msp;
alter table public.raw_security_alerts set schema msp;
alter table public.kpi_daily set schema msp;
alter table public.exports set schema msp;
alter table public.ingest_rejects set schema msp;
alter table public.ingest_seen set schema msp;
alter table public.ingest_turns set schema msp;
alter table public.source_runs set schema msp;
alter function public.is_newer_row(timestamptz, timestamptz, timestamptz, timestamptz, timestamptz) set schema msp;
alter function public.ticket_closed_at(text, boolean, timestamptz, timestamptz) set schema msp;
alter function public.set_ticket_closed_at() set schema msp;
-- A hook of the engine takes its place, once the engine's functions are there.
drop trigger keep_source_run on queue.jobs;
drop function public.keep_source_run();

grant usage on schema identity, msp to weirgate_tenant;
revoke usage on schema public from weirgate_tenant;

-- The engine's.
alter table queue.history rename column is_only to only_row;
alter table queue.history rename constraint history_is_only_check to history_only_row_check;

alter table queue.claims rename column no to claim_seq;
alter index queue.claims_turn rename to claims_claim_seq;
alter view queue.taken rename to in_flight;
alter view queue.in_flight rename column no to claim_seq;

alter table queue.lane_books rename to view_checkpoints;
alter table queue.view_checkpoints rename column no to claim_seq;
alter table queue.view_checkpoints rename column book to view;
alter table queue.view_checkpoints rename column oldest_xid to oldest_txid;
alter table queue.view_checkpoints rename constraint lane_books_pkey to view_checkpoints_pkey;
-- Written in the words of before: the first worker counts the jobs anew.
delete from queue.view_checkpoints;

alter table queue.lane_log rename column no to claim_seq;
alter table queue.lane_log rename column of_turn to of_claim_seq;
alter table queue.lane_log rename column sees_before to snapshot_xmax;
alter table queue.lane_log rename column sees_not to snapshot_xip;
alter table queue.lane_log rename column returned to requeued;
alter table queue.lane_log rename constraint claims_see to lane_log_claims_have_snapshot;
alter index queue.lane_log_turn rename to lane_log_claim_seq;

alter table queue.pulse rename to rollups;
alter table queue.rollups rename column step_s to bucket_s;
alter table queue.rollups rename constraint pulse_pkey to rollups_pkey;
alter table queue.rollups rename constraint pulse_step_s_check to rollups_bucket_s_check;

alter table queue.sleepers rename to waiters;
alter table queue.waiters rename constraint sleepers_pkey to waiters_pkey;
alter table queue.waiters rename constraint sleepers_worker_id_fkey to waiters_worker_id_fkey;
alter index queue.sleepers_worker rename to waiters_worker;

alter table queue.unsettled rename to unresolved;
alter table queue.unresolved rename constraint unsettled_pkey to unresolved_pkey;
alter sequence queue.unsettled_id_seq rename to unresolved_id_seq;

alter table queue.workers rename column slots to capacity;
alter table queue.workers add column queue_capacity jsonb not null default '{}';

alter table queue.jobs rename column aside to cold_state;
alter index queue.jobs_aside rename to jobs_cold;
alter index queue.jobs_tenant_aside rename to jobs_tenant_cold;
alter function queue.flow_key(text, uuid, uuid) rename to sublane_key;
alter index queue.jobs_flow rename to jobs_sublane;

-- What a job is about stood in its arguments before it had a column.
alter table queue.jobs disable trigger log_updated;
update queue.jobs set subject = left(args ->> 'date', 10) where subject is null and args ? 'date';
alter table queue.jobs enable trigger log_updated;
drop index queue.jobs_failing_subject;
create index jobs_failing_subject on queue.jobs (tenant_id, subject, seq)
    where cold_state in ('retryable', 'cancelled', 'discarded');
drop index queue.jobs_failed_day;
create index jobs_failed_subject on queue.jobs (kind, tenant_id, subject) where cold_state in ('discarded', 'cancelled');
drop function queue.job_subject(text, jsonb);

-- Where the database was restored from a dump, Postgres has put the parentheses of these elsewhere.
alter table queue.backfills
    drop constraint backfills_check,
    drop constraint backfills_put_off_check,
    add constraint backfills_check check (next_slice between 0 and total and skipped between 0 and next_slice),
    add constraint backfills_put_off_check check (
        put_off between 0 and next_slice - skipped
        and (put_off = 0 or reached = next_slice and (finished_at is null or cancelled_at is not null)));

-- The engine reads a setting, and names no other schema.
alter policy tenant_reads on queue.jobs
    using (tenant_id = nullif(current_setting('weirgate.tenant', true), '')::uuid);
alter policy tenant_reads on queue.job_dependencies
    using (tenant_id = nullif(current_setting('weirgate.tenant', true), '')::uuid);
alter policy tenant_reads on queue.lanes
    using (tenant_id = nullif(current_setting('weirgate.tenant', true), '')::uuid);
alter policy tenant_reads on queue.schedule_ticks
    using (tenant_id = nullif(current_setting('weirgate.tenant', true), '')::uuid);
