-- The database as the last version before 0.1.0 made it: pg_dump --schema-only --no-owner of its
-- migrations 1 to 36.

-- Functions come before the tables that they name.
set check_function_bodies = false;

CREATE SCHEMA queue;

CREATE TYPE queue.job_state AS ENUM (
    'waiting',
    'scheduled',
    'available',
    'running',
    'retryable',
    'completed',
    'cancelled',
    'discarded'
);

CREATE FUNCTION public.audit_is_only_added_to() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    -- Failed sign-ins of a minute are counted in one entry, and forgotten after 30 days.
    if tg_op = 'UPDATE' and old.once is not null and new.times > old.times
        and to_jsonb(new) - 'times' = to_jsonb(old) - 'times' then
        return new;
    end if;
    if tg_op = 'DELETE' and old.once is not null and old.at <= queue.now() - interval '30 days' then
        return old;
    end if;
    raise exception 'the audit is only ever added to: % refused', lower(tg_op)
        using errcode = 'insufficient_privilege';
end
$$;

CREATE FUNCTION public.count_added_api_keys() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    update public.api_key_changes set added = added + 1;
    return null;
end
$$;

COMMENT ON FUNCTION public.count_added_api_keys() IS 'Counts in api_key_changes, in the transaction that adds the key';

CREATE FUNCTION public.current_tenant() RETURNS uuid
    LANGUAGE sql STABLE
    AS $$ select nullif(current_setting('app.current_tenant', true), '')::uuid $$;

CREATE FUNCTION public.is_newer_row(stored_updated timestamp with time zone, stored_read timestamp with time zone, stored_deleted timestamp with time zone, updated timestamp with time zone, read timestamp with time zone) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    select case when stored_deleted is null and stored_updated is not null and updated is not null
        then (updated, read) >= (stored_updated, coalesce(stored_read, '-infinity'))
        else read >= coalesce(stored_read, '-infinity') end
$$;

COMMENT ON FUNCTION public.is_newer_row(stored_updated timestamp with time zone, stored_read timestamp with time zone, stored_deleted timestamp with time zone, updated timestamp with time zone, read timestamp with time zone) IS 'Whether a reading of a row takes the place of the stored one';

CREATE FUNCTION public.keep_source_run() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
    error constant jsonb := new.errors -> -1;
begin
    if new.state = 'discarded' then
        insert into public.source_runs as s (tenant_id, dataset, failed_since, failed_job_id, error_code, error_message)
        select t.id, substr(new.kind, length('ingest_') + 1), new.finalized_at, new.id, error ->> 'code', error ->> 'message'
        from public.tenants t where t.id = new.tenant_id
        on conflict (tenant_id, dataset) do update
        set failed_since = coalesce(s.failed_since, excluded.failed_since), failed_job_id = excluded.failed_job_id,
            error_code = excluded.error_code, error_message = excluded.error_message;
    elsif jsonb_typeof(new.output -> 'read') = 'number' then
        insert into public.source_runs as s (tenant_id, dataset, job_id, finished_at, read, accepted, rejected, rows_before)
        select t.id, substr(new.kind, length('ingest_') + 1), new.id, new.finalized_at, o.read, o.accepted, o.rejected, o.read
        from public.tenants t, jsonb_to_record(new.output) as o (read bigint, accepted bigint, rejected bigint)
        where t.id = new.tenant_id
        on conflict (tenant_id, dataset) do update
        set job_id = excluded.job_id, finished_at = excluded.finished_at, read = excluded.read, accepted = excluded.accepted,
            rejected = excluded.rejected, rows_before = case when excluded.read > 0 then excluded.read else s.rows_before end,
            failed_since = null, failed_job_id = null, error_code = null, error_message = null;
    end if;
    return null;
end
$$;

COMMENT ON FUNCTION public.keep_source_run() IS 'Keeps source_runs as the ingest says that has ended';

CREATE FUNCTION public.keep_tenant_identity() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    raise exception 'tenant % is called % for ever: its id and its slug never change', old.id, old.slug
        using errcode = 'check_violation', constraint = 'tenants_identity', table = 'tenants',
            hint = 'Change the column name, which is for people; for another slug, make another tenant.';
end
$$;

CREATE FUNCTION public.local_day_start(day date, time_zone text) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    AS $$
declare
    midnight constant timestamp := day;
    -- Of two midnights, `at time zone` takes the later one.
    later constant timestamptz := midnight at time zone time_zone;
    before timestamptz := later - interval '24 hours';
    -- Midnight by the offset that was in force the day before.
    earlier constant timestamptz := later + (midnight - interval '24 hours' - (before at time zone time_zone));
    after timestamptz;
    middle timestamptz;
begin
    if earlier < later and (earlier at time zone time_zone) = midnight then
        return earlier;
    end if;
    if (later at time zone time_zone) = midnight then
        return later;
    end if;
    -- The clock skips midnight. The day begins at the instant of the jump, which is found by
    -- halving.
    before := midnight at time zone 'UTC' - interval '2 days';
    after := midnight at time zone 'UTC' + interval '2 days';
    while after - before > interval '1 microsecond' loop
        middle := before + (after - before) / 2;
        if (middle at time zone time_zone) < midnight then
            before := middle;
        else
            after := middle;
        end if;
    end loop;
    return after;
end
$$;

COMMENT ON FUNCTION public.local_day_start(day date, time_zone text) IS 'The first instant of a day in a time zone. A day ends where the next one starts, so that every instant is of exactly one day: the one that (instant at time zone zone)::date names. Days may lack midnight, or have two of them.';

CREATE FUNCTION public.refuse_unknown_time_zones() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
    wrong record;
begin
    if TG_OP = 'INSERT' then
        select slug, time_zone into wrong from new_rows
        where time_zone <> 'UTC' and time_zone not in (select name from public.time_zones) limit 1;
    else
        with changed as materialized (
            select n.slug, n.time_zone from new_rows n join old_rows o using (id) where n.time_zone <> o.time_zone
        )
        select slug, time_zone into wrong from changed
        where time_zone <> 'UTC' and time_zone not in (select name from public.time_zones) limit 1;
    end if;
    if found then
        raise exception 'tenant %, time_zone: no IANA time zone "%"; such as Europe/Berlin or UTC', wrong.slug, wrong.time_zone
            using errcode = 'check_violation', schema = 'public', table = 'tenants', column = 'time_zone',
                constraint = 'tenants_time_zone_is_known';
    end if;
    return null;
end
$$;

COMMENT ON FUNCTION public.refuse_unknown_time_zones() IS 'Refuses tenants whose time zone is not in time_zones';

CREATE FUNCTION public.set_ticket_closed_at() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    new.closed_at := public.ticket_closed_at(new.status, new.closed_flag, new.closed_at_remote, new.updated_at_remote);
    return new;
end
$$;

COMMENT ON FUNCTION public.set_ticket_closed_at() IS 'Keeps raw_tickets.closed_at by the rule, whoever writes the ticket';

CREATE FUNCTION public.ticket_closed_at(status text, closed_flag boolean, closed_at_remote timestamp with time zone, updated_at_remote timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    select case when coalesce(closed_flag, lower(btrim(status)) in ('closed', 'resolved', 'completed'))
        then coalesce(closed_at_remote, updated_at_remote) end
$$;

COMMENT ON FUNCTION public.ticket_closed_at(status text, closed_flag boolean, closed_at_remote timestamp with time zone, updated_at_remote timestamp with time zone) IS 'When a ticket counts as closed: the source''s flag decides, or else its status, in any case of letters; null while open';

CREATE FUNCTION queue.add_each(a bigint[], b bigint[]) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    select array_agg(x + y order by no) from unnest(a, b) with ordinality as pair (x, y, no)
$$;

COMMENT ON FUNCTION queue.add_each(a bigint[], b bigint[]) IS 'The sums of two arrays of the same length, element by element';

CREATE FUNCTION queue.advance_sequences() RETURNS integer
    LANGUAGE plpgsql
    AS $$
declare
    own record;
    highest bigint;
    advanced integer := 0;
begin
    for own in
        select s.oid::regclass as sequence, t.oid::regclass as of_table, a.attname as of_column
        from pg_class s
        join pg_depend d on d.objid = s.oid and d.deptype in ('a', 'i')
            and d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
        join pg_class t on t.oid = d.refobjid
        join pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid
        -- In this order: what is no sequence has no such right to ask for.
        where case when s.relkind = 'S' then has_sequence_privilege(s.oid, 'UPDATE') end
    loop
        execute format('select max(%I) from %s', own.of_column, own.of_table) into highest;
        if highest > coalesce(pg_sequence_last_value(own.sequence), 0) then
            perform setval(own.sequence, highest);
            advanced := advanced + 1;
        end if;
    end loop;
    return advanced;
end
$$;

COMMENT ON FUNCTION queue.advance_sequences() IS 'Sets sequences that are behind the rows of their tables past them; returns how many were';

CREATE FUNCTION queue.failure_id(kind text, code text, pattern text) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    select ('x' || left(encode(sha256(convert_to(kind || E'\n' || code || E'\n' || pattern, 'UTF8')), 'hex'), 13))::bit(52)::bigint
$$;

COMMENT ON FUNCTION queue.failure_id(kind text, code text, pattern text) IS 'Which failure it is: 52 bits of a hash, so that a number of JavaScript holds it';

CREATE FUNCTION queue.flow_key(queue text, tenant_id uuid, backfill_id uuid) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN hashtextextended(queue, uuid_hash_extended(tenant_id, COALESCE(uuid_hash_extended(backfill_id, (0)::bigint), (0)::bigint)));

COMMENT ON FUNCTION queue.flow_key(queue text, tenant_id uuid, backfill_id uuid) IS 'Stands for the live work of a tenant in a queue, or for that of a backfill. Two may have the same: whoever searches by it compares the rest';

CREATE FUNCTION queue.history_id() RETURNS uuid
    LANGUAGE plpgsql STABLE
    AS $$
declare
    known uuid;
begin
    select id into known from queue.history
    where server_started = pg_postmaster_start_time() and table_oid = tableoid;
    if known is null then
        raise exception using errcode = 'WG001',
            message = 'it is not known yet whether this server has the history that the queues were written under',
            hint = 'A worker or API compares at once and goes on; "weirgate migrate rebase" does it by hand.';
    end if;
    return known;
end
$$;

COMMENT ON FUNCTION queue.history_id() IS 'The history of this server; raises WG001 until somebody has compared, after each start of a server';

CREATE FUNCTION queue.is_current_run(job uuid, run bigint, worker uuid) RETURNS boolean
    LANGUAGE sql STABLE
    AS $_$
    select exists (select from queue.workers w where w.id = $3 and w.lease_until > queue.now())
        and exists (
            select from queue.jobs j
            where j.id = $1 and (j.run = $2 and j.state = 'running' or j.run = $2 - 1 and j.state = 'available')
        )
$_$;

CREATE FUNCTION queue.job_subject(subject text, args jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN COALESCE(subject, "left"((args ->> 'date'::text), 10));

COMMENT ON FUNCTION queue.job_subject(subject text, args jsonb) IS 'What a job is about';

CREATE FUNCTION queue.log_deleted_jobs() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    insert into queue.lane_log (queue, tenants, backfills, priorities, states, changes, lowest)
    select queue, array_agg(tenant_id), array_agg(backfill_id), array_agg(priority), array_agg(state), array_agg(change),
        array_fill(null::bigint, array[count(*)::integer])
    from (
        select queue, tenant_id, backfill_id, priority, state, -count(*)::integer as change
        from old_jobs group by 1, 2, 3, 4, 5
    ) as counted
    group by queue;
    return null;
end
$$;

CREATE FUNCTION queue.log_inserted_jobs() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    insert into queue.lane_log (queue, tenants, backfills, priorities, states, changes, lowest)
    select queue, array_agg(tenant_id), array_agg(backfill_id), array_agg(priority), array_agg(state), array_agg(change),
        array_agg(lowest)
    from (
        select queue, tenant_id, backfill_id, priority, state, count(*)::integer as change, min(seq) as lowest
        from new_jobs group by 1, 2, 3, 4, 5
    ) as counted
    group by queue;
    -- A statement of its own, as it must see more than the one that inserts: who is not seen here
    -- went to sleep after this transaction got its number, and finds that under way. Where all
    -- statements see the same, nobody can be relied on.
    perform pg_notify('weirgate_jobs', woken.queue)
    from (select distinct queue from new_jobs where state = 'available') as woken
    where exists (select from queue.sleepers s where s.queue = woken.queue)
        or current_setting('transaction_isolation') <> 'read committed';
    return null;
end
$$;

CREATE FUNCTION queue.log_updated_jobs() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    insert into queue.lane_log (queue, returned, tenants, backfills, priorities, states, changes, lowest)
    with counted as materialized (
        select queue, tenant_id, backfill_id, priority, state, sum(change)::integer as change, min(seq) as lowest,
            sum(change * run)::integer as runs
        from (
            select queue, tenant_id, backfill_id, priority, state, run, -1 as change, null::bigint as seq from old_jobs
            union all
            select queue, tenant_id, backfill_id, priority, state, run, 1, seq from new_jobs
        ) as both_sides
        group by 1, 2, 3, 4, 5, case when state = 'available' and change > 0 then seq end
    ), begun as (
        -- A change of priority moves runs from one to the other, and begins none.
        select queue, tenant_id, backfill_id, priority, sum(runs)::integer as runs from counted
        where (select sum(runs) from counted) > 0 group by 1, 2, 3, 4 having sum(runs) <> 0
    )
    select queue, true, array_agg(tenant_id), array_agg(backfill_id), array_agg(priority), array_agg(state), array_agg(change),
        array_agg(lowest)
    from (
        select queue, tenant_id, backfill_id, priority, state, sum(change)::integer as change, lowest
        from (
            select queue, tenant_id, backfill_id, priority, state, change,
                case when state = 'available' and change > 0 then lowest end as lowest
            from counted
            union all
            select queue, tenant_id, backfill_id, priority, moved.state, runs * moved.sign, null
            from begun cross join (values ('available'::queue.job_state, 1), ('running', -1)) as moved (state, sign)
        ) as all_sides
        group by 1, 2, 3, 4, 5, 7
        having sum(change) <> 0
    ) as summed
    group by queue;
    return null;
end
$$;

CREATE FUNCTION queue.now() RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    AS $$ select now() $$;

CREATE TABLE queue.history (
    is_only boolean DEFAULT true NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    system_identifier bigint NOT NULL,
    timeline integer NOT NULL,
    table_oid oid NOT NULL,
    server_started timestamp with time zone NOT NULL,
    since timestamp with time zone DEFAULT queue.now() NOT NULL,
    CONSTRAINT history_is_only_check CHECK (is_only)
);

COMMENT ON TABLE queue.history IS 'One row: which history of which server the transaction ids in this schema belong to. Another server, or one that lost what it had committed, begins a new history';

COMMENT ON COLUMN queue.history.is_only IS 'Keeps it one row';

COMMENT ON COLUMN queue.history.id IS 'The history; a new one for each restore, move or promotion';

COMMENT ON COLUMN queue.history.system_identifier IS 'Of the server''s data, as initdb gave it';

COMMENT ON COLUMN queue.history.timeline IS 'Of its WAL: a promotion begins a new one';

COMMENT ON COLUMN queue.history.table_oid IS 'Of this table: a dump that is restored makes it anew';

COMMENT ON COLUMN queue.history.server_started IS 'When the server process began for which all of this was compared last';

COMMENT ON COLUMN queue.history.since IS 'When the history began';

CREATE FUNCTION queue.recorded_history() RETURNS uuid
    LANGUAGE sql STABLE
    RETURN (SELECT history.id FROM queue.history);

COMMENT ON FUNCTION queue.recorded_history() IS 'The history that was recorded last, whether it is this server''s or not';

CREATE FUNCTION queue.require_workers(workers uuid[]) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
declare
    current uuid := queue.history_id();
    lost uuid;
begin
    select w.id into lost from unnest(workers) as w (id)
    where not exists (select from queue.workers r where r.id = w.id and r.history = current)
    limit 1;
    if lost is not null then
        raise exception using errcode = 'WG002',
            message = format('worker %s is not one of this database''s history: what it ran belongs to one that was lost', lost);
    end if;
    return true;
end
$$;

COMMENT ON FUNCTION queue.require_workers(workers uuid[]) IS 'True; raises WG002 for workers that did not register in this history, and WG001 while it is not known';

CREATE FUNCTION queue.seq_at(at timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql STABLE
    AS $$
declare
    low bigint := 0;
    high bigint;
    job record;
begin
    select coalesce(max(seq), 0) + 1 into high from queue.jobs;
    while low + 1 < high loop
        select seq, created_at into job from queue.jobs
        where seq >= (low + high) / 2 and seq < high order by seq limit 1;
        if job.created_at < at then
            low := job.seq;
        else
            high := (low + high) / 2;
        end if;
    end loop;
    return high;
end
$$;

COMMENT ON FUNCTION queue.seq_at(at timestamp with time zone) IS 'The first seq of jobs that were enqueued then or later, of those that the caller sees';

CREATE FUNCTION queue.timeline() RETURNS integer
    LANGUAGE sql STABLE
    RETURN ((('x'::text || "left"(pg_walfile_name(pg_current_wal_lsn()), 8)))::bit(32))::integer;

COMMENT ON FUNCTION queue.timeline() IS 'The timeline that the server writes; an error while it recovers';

CREATE TABLE public.api_key_changes (
    is_only boolean DEFAULT true NOT NULL,
    added bigint DEFAULT 0 NOT NULL,
    CONSTRAINT api_key_changes_is_only_check CHECK (is_only)
);

COMMENT ON TABLE public.api_key_changes IS 'One row: what an API process remembers of keys that do not exist is true while it stays the same';

COMMENT ON COLUMN public.api_key_changes.is_only IS 'Always true, so that there is one row';

COMMENT ON COLUMN public.api_key_changes.added IS 'Counts the statements that added keys';

CREATE TABLE public.api_keys (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    prefix text NOT NULL,
    key_hash bytea NOT NULL,
    name text NOT NULL,
    is_active boolean DEFAULT true NOT NULL,
    last_used_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    CONSTRAINT api_keys_key_hash_check CHECK ((octet_length(key_hash) = 32))
);

COMMENT ON TABLE public.api_keys IS 'Keys with which tenants call /v1';

COMMENT ON COLUMN public.api_keys.tenant_id IS 'Whose key it is';

COMMENT ON COLUMN public.api_keys.id IS 'Permanent id of the key';

COMMENT ON COLUMN public.api_keys.prefix IS 'Visible beginning of the key, by which it is looked up';

COMMENT ON COLUMN public.api_keys.key_hash IS 'SHA-256 of the whole key; the key itself is not kept';

COMMENT ON COLUMN public.api_keys.name IS 'What the key is for';

COMMENT ON COLUMN public.api_keys.is_active IS 'False once revoked';

COMMENT ON COLUMN public.api_keys.last_used_at IS 'Last request with this key, kept to the minute';

COMMENT ON COLUMN public.api_keys.created_at IS 'When the key was made';

COMMENT ON COLUMN public.api_keys.expires_at IS 'From when on it is refused; null: never by itself';

CREATE TABLE public.audit (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT queue.now() NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    via text DEFAULT 'dashboard'::text NOT NULL,
    address text,
    times integer DEFAULT 1 NOT NULL,
    once text,
    tenant_id uuid,
    CONSTRAINT audit_via_check CHECK ((via = ANY (ARRAY['dashboard'::text, 'internal'::text, 'cli'::text])))
);

COMMENT ON TABLE public.audit IS 'Who did what, when, to what, from where, and what it was before; failed sign-ins are gathered and pruned, all else is only ever added to';

COMMENT ON COLUMN public.audit.id IS 'Order of what was done';

COMMENT ON COLUMN public.audit.at IS 'When';

COMMENT ON COLUMN public.audit.actor IS 'Who did it: a user''s email, the service''s token with the beginning of its SHA-256, or an account of a host; anonymous for failed sign-ins';

COMMENT ON COLUMN public.audit.action IS 'What was done, such as job.cancel';

COMMENT ON COLUMN public.audit.target IS 'To what: a job''s id, a queue''s name, an email';

COMMENT ON COLUMN public.audit.detail IS 'How it was ("before") and is ("after"), as far as that differs or was asked for, and more of it';

COMMENT ON COLUMN public.audit.via IS 'By which way: dashboard, internal (the service''s API), cli (the program''s commands)';

COMMENT ON COLUMN public.audit.address IS 'The client''s IP address; null where there is none or it is not known';

COMMENT ON COLUMN public.audit.times IS 'How often within the minute; more than 1 for failed sign-ins alone';

COMMENT ON COLUMN public.audit.once IS 'What failed sign-ins are gathered by; null for all else';

COMMENT ON COLUMN public.audit.tenant_id IS 'The tenant that it concerns; null where that is none or several';

ALTER TABLE public.audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.exports (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    export_date date NOT NULL,
    format text NOT NULL,
    object_path text NOT NULL,
    bytes bigint NOT NULL,
    sha256 text NOT NULL,
    job_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT exports_format_check CHECK ((format = ANY (ARRAY['json'::text, 'csv'::text])))
);

COMMENT ON TABLE public.exports IS 'Files written for a tenant';

COMMENT ON COLUMN public.exports.tenant_id IS 'Whose file it is';

COMMENT ON COLUMN public.exports.id IS 'Permanent id; writing the same day and format again keeps it';

COMMENT ON COLUMN public.exports.export_date IS 'The day it is about';

COMMENT ON COLUMN public.exports.format IS 'json or csv';

COMMENT ON COLUMN public.exports.object_path IS 'Where it lies in the object store';

COMMENT ON COLUMN public.exports.bytes IS 'Size in bytes';

COMMENT ON COLUMN public.exports.sha256 IS 'SHA-256 of the file, hexadecimal';

COMMENT ON COLUMN public.exports.job_id IS 'The job that wrote it';

COMMENT ON COLUMN public.exports.created_at IS 'When it was last written; before the end of the day, a backfill of what is missing takes the day';

CREATE TABLE public.idempotency_keys (
    key text NOT NULL,
    request_hash bytea NOT NULL,
    job_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    made uuid[]
);

COMMENT ON TABLE public.idempotency_keys IS 'Requests that named an Idempotency-Key, kept for 24 hours';

COMMENT ON COLUMN public.idempotency_keys.key IS 'The key as the caller sent it';

COMMENT ON COLUMN public.idempotency_keys.request_hash IS 'SHA-256 of method, path, query and body';

COMMENT ON COLUMN public.idempotency_keys.job_id IS 'The job, backfill, tenant or API key that the first request made; nil where it did something to one that was there. Of an API key the id alone: no secret is kept';

COMMENT ON COLUMN public.idempotency_keys.created_at IS 'When the first request came';

COMMENT ON COLUMN public.idempotency_keys.made IS 'What else the first request made, where that is more than one: the jobs of a schedule that was run; null for all else';

CREATE TABLE public.ingest_rejects (
    tenant_id uuid NOT NULL,
    dataset text NOT NULL,
    origin text NOT NULL,
    line bigint NOT NULL,
    reason text NOT NULL,
    content text,
    job_id uuid NOT NULL,
    rejected_at timestamp with time zone DEFAULT now() NOT NULL,
    generation bigint DEFAULT 0 NOT NULL
);

COMMENT ON TABLE public.ingest_rejects IS 'Rows of a source that could not be taken, as the last ingest found them';

COMMENT ON COLUMN public.ingest_rejects.tenant_id IS 'Whose source it is';

COMMENT ON COLUMN public.ingest_rejects.dataset IS 'tickets, time_entries, csat or security_alerts';

COMMENT ON COLUMN public.ingest_rejects.origin IS 'File or address of the row';

COMMENT ON COLUMN public.ingest_rejects.line IS 'Line or number of the row in it, from 1';

COMMENT ON COLUMN public.ingest_rejects.reason IS 'What is wrong with it';

COMMENT ON COLUMN public.ingest_rejects.content IS 'The row itself, its first 2,000 characters';

COMMENT ON COLUMN public.ingest_rejects.job_id IS 'The job that found it';

COMMENT ON COLUMN public.ingest_rejects.rejected_at IS 'When it was found';

COMMENT ON COLUMN public.ingest_rejects.generation IS 'The run that found it (ingest_turns.generation): newer runs of the dataset replace it';

CREATE TABLE public.ingest_seen (
    tenant_id uuid NOT NULL,
    dataset text NOT NULL,
    generation bigint NOT NULL,
    batch bigint NOT NULL,
    keys text[] NOT NULL,
    parts text[] NOT NULL
);

COMMENT ON TABLE public.ingest_seen IS 'Which rows the reading of a dataset has stored so far; once it has come to the end, the others are marked as deleted';

COMMENT ON COLUMN public.ingest_seen.tenant_id IS 'Whose dataset it is';

COMMENT ON COLUMN public.ingest_seen.dataset IS 'tickets, time_entries, csat or security_alerts';

COMMENT ON COLUMN public.ingest_seen.generation IS 'The turn in which the reading began (ingest_turns.generation)';

COMMENT ON COLUMN public.ingest_seen.batch IS 'Counts the reading''s batches, from 1';

COMMENT ON COLUMN public.ingest_seen.keys IS 'The rows'' ids in the source system; of alerts, their products';

COMMENT ON COLUMN public.ingest_seen.parts IS 'Of alerts, their ids in their products; else empty texts';

CREATE TABLE public.ingest_turns (
    tenant_id uuid NOT NULL,
    dataset text NOT NULL,
    generation bigint DEFAULT 0 NOT NULL,
    job_id uuid,
    run bigint,
    worker_id uuid,
    began_at timestamp with time zone,
    next_job_id uuid,
    next_seq bigint,
    next_until timestamp with time zone
);

COMMENT ON TABLE public.ingest_turns IS 'Which run takes in a dataset of a tenant, one at a time, and which job comes next';

COMMENT ON COLUMN public.ingest_turns.tenant_id IS 'Whose dataset it is';

COMMENT ON COLUMN public.ingest_turns.dataset IS 'tickets, time_entries, csat or security_alerts';

COMMENT ON COLUMN public.ingest_turns.generation IS 'Counts the runs that took in the dataset, in their order';

COMMENT ON COLUMN public.ingest_turns.job_id IS 'The job whose turn it is; it is over as soon as that job''s run is';

COMMENT ON COLUMN public.ingest_turns.run IS 'The run token of that job''s run';

COMMENT ON COLUMN public.ingest_turns.worker_id IS 'The worker of that run';

COMMENT ON COLUMN public.ingest_turns.began_at IS 'When the turn began';

COMMENT ON COLUMN public.ingest_turns.next_job_id IS 'The oldest job that found the turn taken: it comes before newer ones';

COMMENT ON COLUMN public.ingest_turns.next_seq IS 'That job''s number in order of enqueueing';

COMMENT ON COLUMN public.ingest_turns.next_until IS 'Until when its place is kept: a job that does not come back for it, as its lane is paused, does not keep others waiting for ever';

CREATE TABLE public.known_browsers (
    token_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT queue.now() NOT NULL
);

COMMENT ON TABLE public.known_browsers IS 'Browsers that somebody has signed in with: failures elsewhere do not keep them from signing in there again';

COMMENT ON COLUMN public.known_browsers.token_hash IS 'SHA-256 of what the cookie holds';

COMMENT ON COLUMN public.known_browsers.user_id IS 'Who has signed in';

COMMENT ON COLUMN public.known_browsers.created_at IS 'When they last signed in with it';

CREATE TABLE public.kpi_daily (
    tenant_id uuid NOT NULL,
    kpi_date date NOT NULL,
    total_minutes bigint NOT NULL,
    billable_minutes bigint NOT NULL,
    non_billable_minutes bigint NOT NULL,
    avg_resolution_minutes double precision,
    first_call_resolution_rate double precision,
    avg_satisfaction_score double precision,
    tickets_created bigint NOT NULL,
    tickets_closed bigint NOT NULL,
    tickets_open bigint NOT NULL,
    tickets_high_priority bigint NOT NULL,
    anomaly_detected boolean NOT NULL,
    z_score double precision,
    computed_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.kpi_daily IS 'KPIs of one tenant and one day of its time zone';

COMMENT ON COLUMN public.kpi_daily.tenant_id IS 'Whose KPIs they are';

COMMENT ON COLUMN public.kpi_daily.kpi_date IS 'The day, in the tenant''s time zone';

COMMENT ON COLUMN public.kpi_daily.total_minutes IS 'Minutes worked on the day';

COMMENT ON COLUMN public.kpi_daily.billable_minutes IS 'Of these, billable';

COMMENT ON COLUMN public.kpi_daily.non_billable_minutes IS 'Of these, not billable';

COMMENT ON COLUMN public.kpi_daily.avg_resolution_minutes IS 'Mean minutes from creation to closing, over tickets closed on the day; null without any';

COMMENT ON COLUMN public.kpi_daily.first_call_resolution_rate IS 'Share (0 to 1) of tickets closed on the day that have exactly one time entry; null without any';

COMMENT ON COLUMN public.kpi_daily.avg_satisfaction_score IS 'Mean score of surveys submitted on the day; null without any';

COMMENT ON COLUMN public.kpi_daily.tickets_created IS 'Tickets created on the day';

COMMENT ON COLUMN public.kpi_daily.tickets_closed IS 'Tickets closed on the day';

COMMENT ON COLUMN public.kpi_daily.tickets_open IS 'Tickets created by the end of the day and not closed by then';

COMMENT ON COLUMN public.kpi_daily.tickets_high_priority IS 'Tickets created on the day with priority High or Critical';

COMMENT ON COLUMN public.kpi_daily.anomaly_detected IS 'Whether the z-score is 3 or more either way';

COMMENT ON COLUMN public.kpi_daily.z_score IS 'Of tickets_created against the 28 days before: (x - mean) / deviation; null under 7 days of history. The deviation is that of the sample, but at least sqrt(mean), which counts of independent events have (Poisson; the limits of a c chart, NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.3.1), and at least 1 ticket';

COMMENT ON COLUMN public.kpi_daily.computed_at IS 'When it was worked out; before the end of the day, the row is of what there was by then, and a backfill of what is missing takes the day';

CREATE TABLE public.raw_csat_surveys (
    tenant_id uuid NOT NULL,
    survey_id text NOT NULL,
    ticket_id text,
    score double precision NOT NULL,
    sentiment text,
    comment text,
    submitted_at timestamp with time zone NOT NULL,
    ingested_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at_remote timestamp with time zone,
    read_at timestamp with time zone,
    deleted_at timestamp with time zone
);

COMMENT ON TABLE public.raw_csat_surveys IS 'Customer satisfaction surveys';

COMMENT ON COLUMN public.raw_csat_surveys.tenant_id IS 'Whose survey it is';

COMMENT ON COLUMN public.raw_csat_surveys.survey_id IS 'Id in the source system';

COMMENT ON COLUMN public.raw_csat_surveys.ticket_id IS 'The ticket it is about';

COMMENT ON COLUMN public.raw_csat_surveys.score IS 'Score on the source system''s scale';

COMMENT ON COLUMN public.raw_csat_surveys.sentiment IS 'positive, neutral or negative, where the source says so';

COMMENT ON COLUMN public.raw_csat_surveys.comment IS 'What the customer wrote';

COMMENT ON COLUMN public.raw_csat_surveys.submitted_at IS 'When it was filled in';

COMMENT ON COLUMN public.raw_csat_surveys.ingested_at IS 'When an ingest last wrote it';

COMMENT ON COLUMN public.raw_csat_surveys.updated_at_remote IS 'When it last changed in the source system, where that says so';

COMMENT ON COLUMN public.raw_csat_surveys.read_at IS 'When the reading of the source began that last wrote the row, or missed it; null in rows of before';

COMMENT ON COLUMN public.raw_csat_surveys.deleted_at IS 'When a reading of the whole source first missed it: it is in no KPI, list, export or summary; null while the source has it';

CREATE TABLE public.raw_security_alerts (
    tenant_id uuid NOT NULL,
    source text NOT NULL,
    alert_id text NOT NULL,
    severity text NOT NULL,
    title text,
    device text,
    status text NOT NULL,
    detected_at timestamp with time zone NOT NULL,
    ingested_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at_remote timestamp with time zone,
    read_at timestamp with time zone,
    deleted_at timestamp with time zone
);

COMMENT ON TABLE public.raw_security_alerts IS 'Alerts of the security products';

COMMENT ON COLUMN public.raw_security_alerts.tenant_id IS 'Whose alert it is';

COMMENT ON COLUMN public.raw_security_alerts.source IS 'The product, such as sentinelone or defender';

COMMENT ON COLUMN public.raw_security_alerts.alert_id IS 'Id in that product';

COMMENT ON COLUMN public.raw_security_alerts.severity IS 'Severity as the product says';

COMMENT ON COLUMN public.raw_security_alerts.title IS 'What was seen';

COMMENT ON COLUMN public.raw_security_alerts.device IS 'Where it was seen';

COMMENT ON COLUMN public.raw_security_alerts.status IS 'State of its handling';

COMMENT ON COLUMN public.raw_security_alerts.detected_at IS 'When it was seen';

COMMENT ON COLUMN public.raw_security_alerts.ingested_at IS 'When an ingest last wrote it';

COMMENT ON COLUMN public.raw_security_alerts.updated_at_remote IS 'When it last changed in the source system, where that says so';

COMMENT ON COLUMN public.raw_security_alerts.read_at IS 'When the reading of the source began that last wrote the row, or missed it; null in rows of before';

COMMENT ON COLUMN public.raw_security_alerts.deleted_at IS 'When a reading of the whole source first missed it: it is in no KPI, list, export or summary; null while the source has it';

CREATE TABLE public.raw_tickets (
    tenant_id uuid NOT NULL,
    cw_ticket_id text NOT NULL,
    board text,
    status text NOT NULL,
    priority text NOT NULL,
    summary text,
    description text,
    company text,
    owner text,
    created_at_remote timestamp with time zone NOT NULL,
    updated_at_remote timestamp with time zone NOT NULL,
    closed_at_remote timestamp with time zone,
    sla_status text,
    estimated_hours double precision,
    closed_at timestamp with time zone,
    ingested_at timestamp with time zone DEFAULT now() NOT NULL,
    closed_flag boolean,
    read_at timestamp with time zone,
    deleted_at timestamp with time zone
);

COMMENT ON TABLE public.raw_tickets IS 'Support tickets of the source system';

COMMENT ON COLUMN public.raw_tickets.tenant_id IS 'Whose ticket it is';

COMMENT ON COLUMN public.raw_tickets.cw_ticket_id IS 'Id in the source system';

COMMENT ON COLUMN public.raw_tickets.board IS 'Service board';

COMMENT ON COLUMN public.raw_tickets.status IS 'Status in the source system; where closed_flag is null, closed, resolved and completed count as closed, in any case of letters';

COMMENT ON COLUMN public.raw_tickets.priority IS 'Priority; High and Critical count as high, in any case of letters';

COMMENT ON COLUMN public.raw_tickets.summary IS 'One line';

COMMENT ON COLUMN public.raw_tickets.description IS 'Full text';

COMMENT ON COLUMN public.raw_tickets.company IS 'The end customer';

COMMENT ON COLUMN public.raw_tickets.owner IS 'Technician in charge';

COMMENT ON COLUMN public.raw_tickets.created_at_remote IS 'When it was opened in the source system';

COMMENT ON COLUMN public.raw_tickets.updated_at_remote IS 'When it last changed in the source system';

COMMENT ON COLUMN public.raw_tickets.closed_at_remote IS 'When it was closed, where the source system says so';

COMMENT ON COLUMN public.raw_tickets.sla_status IS 'Service level as the source system sees it';

COMMENT ON COLUMN public.raw_tickets.estimated_hours IS 'Estimated effort in hours';

COMMENT ON COLUMN public.raw_tickets.closed_at IS 'When it counts as closed, by ticket_closed_at; null while open';

COMMENT ON COLUMN public.raw_tickets.ingested_at IS 'When an ingest last wrote it';

COMMENT ON COLUMN public.raw_tickets.closed_flag IS 'Whether the source system says that it is closed; null where it does not say';

COMMENT ON COLUMN public.raw_tickets.read_at IS 'When the reading of the source began that last wrote the row, or missed it; null in rows of before';

COMMENT ON COLUMN public.raw_tickets.deleted_at IS 'When a reading of the whole source first missed it: it is in no KPI, list, export or summary; null while the source has it';

CREATE TABLE public.raw_time_entries (
    tenant_id uuid NOT NULL,
    cw_time_entry_id text NOT NULL,
    cw_ticket_id text,
    member text,
    work_type text,
    billable boolean NOT NULL,
    minutes integer NOT NULL,
    notes text,
    date_worked date NOT NULL,
    ingested_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at_remote timestamp with time zone,
    read_at timestamp with time zone,
    deleted_at timestamp with time zone,
    CONSTRAINT raw_time_entries_minutes_check CHECK ((minutes >= 0))
);

COMMENT ON TABLE public.raw_time_entries IS 'Time worked, as booked in the source system';

COMMENT ON COLUMN public.raw_time_entries.tenant_id IS 'Whose time entry it is';

COMMENT ON COLUMN public.raw_time_entries.cw_time_entry_id IS 'Id in the source system';

COMMENT ON COLUMN public.raw_time_entries.cw_ticket_id IS 'The ticket it was booked on';

COMMENT ON COLUMN public.raw_time_entries.member IS 'Who worked';

COMMENT ON COLUMN public.raw_time_entries.work_type IS 'Kind of work';

COMMENT ON COLUMN public.raw_time_entries.billable IS 'Whether it is billed';

COMMENT ON COLUMN public.raw_time_entries.minutes IS 'Time worked, in minutes';

COMMENT ON COLUMN public.raw_time_entries.notes IS 'What was done';

COMMENT ON COLUMN public.raw_time_entries.date_worked IS 'The day, in the tenant''s time zone';

COMMENT ON COLUMN public.raw_time_entries.ingested_at IS 'When an ingest last wrote it';

COMMENT ON COLUMN public.raw_time_entries.updated_at_remote IS 'When it last changed in the source system, where that says so';

COMMENT ON COLUMN public.raw_time_entries.read_at IS 'When the reading of the source began that last wrote the row, or missed it; null in rows of before';

COMMENT ON COLUMN public.raw_time_entries.deleted_at IS 'When a reading of the whole source first missed it: it is in no KPI, list, export or summary; null while the source has it';

CREATE TABLE public.sessions (
    token_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    csrf text NOT NULL,
    created_at timestamp with time zone DEFAULT queue.now() NOT NULL,
    seen_at timestamp with time zone DEFAULT queue.now() NOT NULL,
    role text
);

COMMENT ON TABLE public.sessions IS 'Who is signed in; a session ends at sign-out, after idle time, after seven days, or with a new password or role';

COMMENT ON COLUMN public.sessions.token_hash IS 'SHA-256 of what the cookie holds';

COMMENT ON COLUMN public.sessions.user_id IS 'Whose it is';

COMMENT ON COLUMN public.sessions.csrf IS 'What each form of it must bring along';

COMMENT ON COLUMN public.sessions.created_at IS 'When they signed in';

COMMENT ON COLUMN public.sessions.seen_at IS 'Their last request, to the minute';

COMMENT ON COLUMN public.sessions.role IS 'Role of its user at the sign-in: the session ends when that changes; null in those of before';

CREATE TABLE public.source_runs (
    tenant_id uuid NOT NULL,
    dataset text NOT NULL,
    job_id uuid,
    finished_at timestamp with time zone,
    read bigint,
    accepted bigint,
    rejected bigint,
    rows_before bigint DEFAULT 0 NOT NULL,
    failed_since timestamp with time zone,
    failed_job_id uuid,
    error_code text,
    error_message text,
    trouble text GENERATED ALWAYS AS (
CASE
    WHEN (failed_since IS NOT NULL) THEN 'failing'::text
    WHEN ((read = 0) AND (rows_before > 0)) THEN 'empty'::text
    WHEN ((rejected * 10) > read) THEN 'rejecting'::text
    ELSE NULL::text
END) STORED
);

COMMENT ON TABLE public.source_runs IS 'How the last ingest of each tenant and dataset went; kept by the trigger keep_source_run of queue.jobs';

COMMENT ON COLUMN public.source_runs.tenant_id IS 'Whose source it is';

COMMENT ON COLUMN public.source_runs.dataset IS 'tickets, time_entries, csat or security_alerts';

COMMENT ON COLUMN public.source_runs.job_id IS 'The last ingest that completed; null before the first one';

COMMENT ON COLUMN public.source_runs.finished_at IS 'When that was';

COMMENT ON COLUMN public.source_runs.read IS 'Rows that it read';

COMMENT ON COLUMN public.source_runs.accepted IS 'Of these, taken';

COMMENT ON COLUMN public.source_runs.rejected IS 'Of these, set aside in ingest_rejects';

COMMENT ON COLUMN public.source_runs.rows_before IS 'Rows that the last ingest read which had any; 0 before that';

COMMENT ON COLUMN public.source_runs.failed_since IS 'When the first ingest since then failed for good; null while none has';

COMMENT ON COLUMN public.source_runs.failed_job_id IS 'The last ingest that failed for good since then';

COMMENT ON COLUMN public.source_runs.error_code IS 'The code of its last error';

COMMENT ON COLUMN public.source_runs.error_message IS 'The message of that';

COMMENT ON COLUMN public.source_runs.trouble IS 'failing: no ingest completed since one failed for good; empty: the last one read nothing where an earlier one had rows; rejecting: it rejected more than a tenth of what it read; null: nothing of that';

CREATE TABLE public.tenants (
    id uuid NOT NULL,
    slug text NOT NULL,
    name text NOT NULL,
    is_active boolean DEFAULT true NOT NULL,
    llm_enabled boolean DEFAULT false NOT NULL,
    time_zone text DEFAULT 'UTC'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT tenants_are_not_the_system CHECK (((id <> '00000000-0000-0000-0000-000000000000'::uuid) AND (slug <> 'system'::text))),
    CONSTRAINT tenants_slug_check CHECK ((slug ~ '^[A-Za-z0-9_-]{1,64}$'::text))
);

COMMENT ON TABLE public.tenants IS 'The customers whose data is ingested';

COMMENT ON COLUMN public.tenants.id IS 'Permanent id of the tenant';

COMMENT ON COLUMN public.tenants.slug IS 'Name in URLs and of the files of its sources, such as tenant_demo_cca; never changes';

COMMENT ON COLUMN public.tenants.name IS 'Name for people';

COMMENT ON COLUMN public.tenants.is_active IS 'Inactive tenants keep their data, but no job is accepted for them';

COMMENT ON COLUMN public.tenants.llm_enabled IS 'Whether the tenant allows language models on its data';

COMMENT ON COLUMN public.tenants.time_zone IS 'Name of an IANA time zone in its only spelling; where the tenant''s days begin and end';

COMMENT ON COLUMN public.tenants.created_at IS 'When the tenant was made';

CREATE VIEW public.time_zones AS
 SELECT pg_timezone_names.name
   FROM pg_timezone_names
  WHERE ((pg_timezone_names.name !~ '^(posix|right)/'::text) AND (pg_timezone_names.name <> ALL (ARRAY['localtime'::text, 'posixrules'::text, 'Factory'::text])));

COMMENT ON VIEW public.time_zones IS 'The names of the IANA database, as far as the server has them. The server looks them up on disk: join it, but never for each row';

COMMENT ON COLUMN public.time_zones.name IS 'A name such as Europe/Berlin, in its only spelling';

CREATE TABLE public.users (
    id uuid NOT NULL,
    email text NOT NULL,
    password_hash text NOT NULL,
    role text NOT NULL,
    created_at timestamp with time zone DEFAULT queue.now() NOT NULL,
    disabled_at timestamp with time zone,
    CONSTRAINT users_role_check CHECK ((role = ANY (ARRAY['viewer'::text, 'operator'::text, 'admin'::text])))
);

COMMENT ON TABLE public.users IS 'People who sign in to the dashboard';

COMMENT ON COLUMN public.users.id IS 'UUIDv7';

COMMENT ON COLUMN public.users.email IS 'What they sign in with, in any case of letters';

COMMENT ON COLUMN public.users.password_hash IS 'Argon2id, as a PHC string';

COMMENT ON COLUMN public.users.role IS 'What they may do: viewer looks, operator also acts on jobs and queues, admin also sets limits';

COMMENT ON COLUMN public.users.created_at IS 'When they were made';

COMMENT ON COLUMN public.users.disabled_at IS 'Since when they may not sign in; null while they may';

CREATE TABLE queue.backfills (
    id uuid NOT NULL,
    paused boolean DEFAULT false NOT NULL,
    share real DEFAULT 0.25 NOT NULL,
    max_running integer,
    finished_at timestamp with time zone,
    kind text,
    spec jsonb DEFAULT '{}'::jsonb NOT NULL,
    plan jsonb DEFAULT '{}'::jsonb NOT NULL,
    queues text[] DEFAULT '{}'::text[] NOT NULL,
    priority smallint DEFAULT 0 NOT NULL,
    traceparent text,
    total bigint DEFAULT 0 NOT NULL,
    next_slice bigint DEFAULT 0 NOT NULL,
    skipped bigint DEFAULT 0 NOT NULL,
    jobs bigint DEFAULT 0 NOT NULL,
    counts jsonb,
    samples jsonb DEFAULT '[]'::jsonb NOT NULL,
    retry_requested_at timestamp with time zone,
    retried_to bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT queue.now() NOT NULL,
    cancelled_at timestamp with time zone,
    put_off bigint DEFAULT 0 NOT NULL,
    reached bigint DEFAULT 0 NOT NULL,
    CONSTRAINT backfills_check CHECK ((((next_slice >= 0) AND (next_slice <= total)) AND ((skipped >= 0) AND (skipped <= next_slice)))),
    CONSTRAINT backfills_max_running_check CHECK ((max_running > 0)),
    CONSTRAINT backfills_priority_check CHECK (((priority >= '-100'::integer) AND (priority <= 100))),
    CONSTRAINT backfills_put_off_check CHECK ((((put_off >= 0) AND (put_off <= (next_slice - skipped))) AND ((put_off = 0) OR ((reached = next_slice) AND ((finished_at IS NULL) OR (cancelled_at IS NOT NULL)))))),
    CONSTRAINT backfills_share_check CHECK (((share > (0)::double precision) AND (share <= (1)::double precision)))
);

COMMENT ON TABLE queue.backfills IS 'Ranges that are worked off in the background: their jobs have lanes of their own';

COMMENT ON COLUMN queue.backfills.id IS 'UUIDv7';

COMMENT ON COLUMN queue.backfills.paused IS 'Whether nothing of it starts';

COMMENT ON COLUMN queue.backfills.share IS 'What part of the fleet it may take while live work waits, above 0 to 1';

COMMENT ON COLUMN queue.backfills.max_running IS 'Most of its jobs at once in a queue; null for any number';

COMMENT ON COLUMN queue.backfills.finished_at IS 'When its last job became final, or it was cancelled';

COMMENT ON COLUMN queue.backfills.kind IS 'What its slices are; null for one whose jobs come from elsewhere, which is never expanded';

COMMENT ON COLUMN queue.backfills.spec IS 'What was asked for, for people';

COMMENT ON COLUMN queue.backfills.plan IS 'What the application makes its slices from';

COMMENT ON COLUMN queue.backfills.queues IS 'Queues that its jobs wait in';

COMMENT ON COLUMN queue.backfills.priority IS 'Of its jobs; higher first, -100 to 100';

COMMENT ON COLUMN queue.backfills.traceparent IS 'W3C trace context of the request that made it';

COMMENT ON COLUMN queue.backfills.total IS 'Number of slices';

COMMENT ON COLUMN queue.backfills.next_slice IS 'Slices before this one were looked at, but for those that are put off: they became jobs or were skipped';

COMMENT ON COLUMN queue.backfills.skipped IS 'Slices that became no job: nothing to do, or on their way already';

COMMENT ON COLUMN queue.backfills.jobs IS 'Jobs that were made; a slice may be several';

COMMENT ON COLUMN queue.backfills.counts IS 'Its jobs by state when it finished; null before';

COMMENT ON COLUMN queue.backfills.samples IS 'Slices that were done at times of the last minutes, for the rate: [{"at", "done"}]';

COMMENT ON COLUMN queue.backfills.retry_requested_at IS 'Jobs that were discarded before this time get another life; null when that is done';

COMMENT ON COLUMN queue.backfills.retried_to IS 'Of these, jobs up to this seq were looked at';

COMMENT ON COLUMN queue.backfills.created_at IS 'When it was made';

COMMENT ON COLUMN queue.backfills.cancelled_at IS 'When it was cancelled';

COMMENT ON COLUMN queue.backfills.put_off IS 'Slices before next_slice that were not looked at, as their tenants are behind';

COMMENT ON COLUMN queue.backfills.reached IS 'The same as next_slice while slices are put off: a version that knows of none cannot move such a backfill on, nor end it';

CREATE TABLE queue.backfills_behind (
    backfill_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    next_slice bigint NOT NULL
);

COMMENT ON TABLE queue.backfills_behind IS 'Tenants that a backfill went on without, as enough of their jobs wait';

COMMENT ON COLUMN queue.backfills_behind.backfill_id IS 'The backfill';

COMMENT ON COLUMN queue.backfills_behind.tenant_id IS 'The tenant';

COMMENT ON COLUMN queue.backfills_behind.next_slice IS 'Slices of the tenant before this one were looked at; those from here to the backfill''s next_slice are put off';

CREATE TABLE queue.claims (
    worker_id uuid NOT NULL,
    queue text NOT NULL,
    no bigint NOT NULL,
    jobs bigint[] NOT NULL,
    runs bigint[] NOT NULL,
    at timestamp with time zone DEFAULT queue.now() NOT NULL
)
WITH (toast_tuple_target='8160');

COMMENT ON TABLE queue.claims IS 'What each worker took and has not finished all of: where the jobs of a dead worker are found';

COMMENT ON COLUMN queue.claims.worker_id IS 'The worker';

COMMENT ON COLUMN queue.claims.queue IS 'The queue';

COMMENT ON COLUMN queue.claims.no IS 'The turn of the claim';

COMMENT ON COLUMN queue.claims.jobs IS 'The seq of each job it took';

COMMENT ON COLUMN queue.claims.runs IS 'The run of each job that it began';

COMMENT ON COLUMN queue.claims.at IS 'When';

CREATE TABLE queue.failure_hours (
    failure_id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    seen bigint NOT NULL
)
WITH (fillfactor='70');

COMMENT ON TABLE queue.failure_hours IS 'How often a failure was met, by hour';

COMMENT ON COLUMN queue.failure_hours.failure_id IS 'The failure';

COMMENT ON COLUMN queue.failure_hours.at IS 'When the hour begins';

COMMENT ON COLUMN queue.failure_hours.seen IS 'How many attempts failed so in it';

CREATE TABLE queue.failures (
    id bigint NOT NULL,
    kind text NOT NULL,
    code text NOT NULL,
    pattern text NOT NULL,
    first_seen timestamp with time zone NOT NULL,
    last_seen timestamp with time zone NOT NULL,
    seen bigint NOT NULL
)
WITH (fillfactor='70');

COMMENT ON TABLE queue.failures IS 'What failures have in common: their kind of job, their code, and their message without what differs';

COMMENT ON COLUMN queue.failures.id IS 'From those three: queue.failure_id';

COMMENT ON COLUMN queue.failures.kind IS 'The kind of job';

COMMENT ON COLUMN queue.failures.code IS 'The stable word of the failure';

COMMENT ON COLUMN queue.failures.pattern IS 'The first line of the message, with … for what is quoted and # for words with digits';

COMMENT ON COLUMN queue.failures.first_seen IS 'When it was first met';

COMMENT ON COLUMN queue.failures.last_seen IS 'When it was last met, to a few seconds';

COMMENT ON COLUMN queue.failures.seen IS 'How many attempts failed so, as the workers told';

CREATE TABLE queue.job_dependencies (
    tenant_id uuid NOT NULL,
    child_id uuid NOT NULL,
    parent_id uuid NOT NULL,
    on_failure text NOT NULL,
    outcome text DEFAULT 'pending'::text NOT NULL,
    CONSTRAINT job_dependencies_on_failure_check CHECK ((on_failure = ANY (ARRAY['cancel'::text, 'continue'::text]))),
    CONSTRAINT job_dependencies_outcome_check CHECK ((outcome = ANY (ARRAY['pending'::text, 'passed'::text, 'failed'::text])))
)
WITH (fillfactor='60');

COMMENT ON TABLE queue.job_dependencies IS 'A child waits until its parents are final';

COMMENT ON COLUMN queue.job_dependencies.tenant_id IS 'Whose jobs they are';

COMMENT ON COLUMN queue.job_dependencies.child_id IS 'The job that waits';

COMMENT ON COLUMN queue.job_dependencies.parent_id IS 'The job it waits on';

COMMENT ON COLUMN queue.job_dependencies.on_failure IS 'What a discarded or cancelled parent does to the child: cancel it, or let it go on';

COMMENT ON COLUMN queue.job_dependencies.outcome IS 'What the child was told last: the parent is pending, or has passed (completed, or failed where the child goes on), or failed';

CREATE TABLE queue.jobs (
    id uuid NOT NULL,
    seq bigint NOT NULL,
    tenant_id uuid NOT NULL,
    queue text NOT NULL,
    kind text NOT NULL,
    state queue.job_state NOT NULL,
    priority smallint DEFAULT 0 NOT NULL,
    attempt smallint DEFAULT 0 NOT NULL,
    max_attempts smallint NOT NULL,
    run bigint DEFAULT 0 NOT NULL,
    pending_parents integer DEFAULT 0 NOT NULL,
    args jsonb NOT NULL,
    output jsonb,
    progress jsonb,
    errors jsonb DEFAULT '[]'::jsonb NOT NULL,
    unique_key bytea,
    workflow_id uuid,
    backfill_id uuid,
    traceparent text,
    worker_id uuid,
    cancel_requested_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    scheduled_at timestamp with time zone NOT NULL,
    attempted_at timestamp with time zone,
    finalized_at timestamp with time zone,
    name text,
    failed_parents integer DEFAULT 0 NOT NULL,
    aside queue.job_state GENERATED ALWAYS AS (
CASE
    WHEN ((state = 'running'::queue.job_state) OR (state = 'completed'::queue.job_state) OR (state = 'available'::queue.job_state)) THEN NULL::queue.job_state
    ELSE state
END) STORED,
    live_key bytea GENERATED ALWAYS AS (
CASE
    WHEN ((unique_key IS NULL) OR (state = ANY (ARRAY['completed'::queue.job_state, 'cancelled'::queue.job_state, 'discarded'::queue.job_state]))) THEN NULL::bytea
    ELSE unique_key
END) STORED,
    live_backfill_id uuid GENERATED ALWAYS AS (
CASE
    WHEN ((backfill_id IS NULL) OR (state = ANY (ARRAY['completed'::queue.job_state, 'cancelled'::queue.job_state, 'discarded'::queue.job_state]))) THEN NULL::uuid
    ELSE backfill_id
END) STORED,
    failure_id bigint,
    subject text,
    cancelled_by uuid,
    enqueued_by text,
    CONSTRAINT jobs_max_attempts_check CHECK ((max_attempts > 0)),
    CONSTRAINT jobs_priority_check CHECK (((priority >= '-100'::integer) AND (priority <= 100)))
)
WITH (fillfactor='50');

COMMENT ON TABLE queue.jobs IS 'Every job, from enqueue to its end';

COMMENT ON COLUMN queue.jobs.id IS 'UUIDv7, made where the job is enqueued';

COMMENT ON COLUMN queue.jobs.seq IS 'Order of enqueueing, by the database';

COMMENT ON COLUMN queue.jobs.tenant_id IS 'Whose job it is; nil for the system''s own';

COMMENT ON COLUMN queue.jobs.queue IS 'Where it waits; with the tenant, its lane';

COMMENT ON COLUMN queue.jobs.kind IS 'Which handler runs it; a permanent name';

COMMENT ON COLUMN queue.jobs.state IS 'Where it stands; README.md has the picture of the states';

COMMENT ON COLUMN queue.jobs.priority IS 'Higher first, -100 to 100';

COMMENT ON COLUMN queue.jobs.attempt IS 'Attempts started; snoozes and handed-back runs are not counted';

COMMENT ON COLUMN queue.jobs.max_attempts IS 'Attempts after which a failure discards it';

COMMENT ON COLUMN queue.jobs.run IS 'Run token: grows by one with each claim; a finish must name the current one';

COMMENT ON COLUMN queue.jobs.pending_parents IS 'Edges to it that read pending: jobs it waits on';

COMMENT ON COLUMN queue.jobs.args IS 'Arguments';

COMMENT ON COLUMN queue.jobs.output IS 'What the handler returned; until then, its checkpoint if it has one';

COMMENT ON COLUMN queue.jobs.progress IS '{"done", "total", "message"} of the current or last attempt';

COMMENT ON COLUMN queue.jobs.errors IS 'One element a failed attempt: attempt, at, code, message, retry_at';

COMMENT ON COLUMN queue.jobs.unique_key IS 'SHA-256 of what makes it unique while it is not final; null for any number';

COMMENT ON COLUMN queue.jobs.workflow_id IS 'The workflow it belongs to';

COMMENT ON COLUMN queue.jobs.backfill_id IS 'The backfill it belongs to';

COMMENT ON COLUMN queue.jobs.traceparent IS 'W3C trace context of the request that enqueued it';

COMMENT ON COLUMN queue.jobs.worker_id IS 'Who runs it now, or ran it last';

COMMENT ON COLUMN queue.jobs.cancel_requested_at IS 'When a running job was told to stop';

COMMENT ON COLUMN queue.jobs.created_at IS 'When it was enqueued';

COMMENT ON COLUMN queue.jobs.scheduled_at IS 'When it may start, or became due';

COMMENT ON COLUMN queue.jobs.attempted_at IS 'When the last attempt started';

COMMENT ON COLUMN queue.jobs.finalized_at IS 'When it became completed, cancelled or discarded';

COMMENT ON COLUMN queue.jobs.name IS 'What people call it within its workflow';

COMMENT ON COLUMN queue.jobs.failed_parents IS 'Edges to it that read failed: discarded or cancelled jobs that it cannot do without';

COMMENT ON COLUMN queue.jobs.aside IS 'The state, unless it is one that every job goes through (available, running, completed): for indexes';

COMMENT ON COLUMN queue.jobs.live_key IS 'The unique key, while the job is not final: no other live job may have it';

COMMENT ON COLUMN queue.jobs.live_backfill_id IS 'The backfill, while the job is not final';

COMMENT ON COLUMN queue.jobs.failure_id IS 'What its last failed attempt failed of (queue.failures)';

COMMENT ON COLUMN queue.jobs.subject IS 'What it is about, such as a day, as the application says; null where it says nothing. queue.job_subject also knows it of jobs from before';

COMMENT ON COLUMN queue.jobs.cancelled_by IS 'Through what it was cancelled, or told to stop: itself, its workflow, its backfill, a job that does so to many, or a failed job that it waited on';

COMMENT ON COLUMN queue.jobs.enqueued_by IS 'Who asked for it, as the audit names them; null where that was a schedule, a backfill or another job';

ALTER TABLE queue.jobs ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME queue.jobs_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE queue.lane_books (
    queue text NOT NULL,
    at timestamp with time zone NOT NULL,
    oldest_xid bigint NOT NULL,
    no bigint NOT NULL,
    book jsonb NOT NULL,
    history uuid DEFAULT queue.recorded_history()
);

COMMENT ON TABLE queue.lane_books IS 'The log summed up now and then, for hosts that begin to read it';

COMMENT ON COLUMN queue.lane_books.queue IS 'The queue';

COMMENT ON COLUMN queue.lane_books.at IS 'When it was written';

COMMENT ON COLUMN queue.lane_books.oldest_xid IS 'Every transaction before this one is in it';

COMMENT ON COLUMN queue.lane_books.no IS 'Last turn that is in it';

COMMENT ON COLUMN queue.lane_books.book IS 'Counts, tags and arrival times, and which transactions they hold';

COMMENT ON COLUMN queue.lane_books.history IS 'The history that its transaction ids are of';

CREATE TABLE queue.lane_log (
    queue text NOT NULL,
    txid bigint DEFAULT ((pg_current_xact_id())::text)::bigint NOT NULL,
    at timestamp with time zone DEFAULT queue.now() NOT NULL,
    no bigint,
    worker_id uuid,
    virtual_times double precision[],
    queue_tat timestamp with time zone,
    tenants uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    backfills uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    priorities smallint[] DEFAULT '{}'::smallint[] NOT NULL,
    states queue.job_state[] DEFAULT '{}'::queue.job_state[] NOT NULL,
    changes integer[] DEFAULT '{}'::integer[] NOT NULL,
    lowest bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    tags double precision[] DEFAULT '{}'::double precision[] NOT NULL,
    tats timestamp with time zone[] DEFAULT '{}'::timestamp with time zone[] NOT NULL,
    returned boolean DEFAULT false NOT NULL,
    of_turn bigint,
    sees_before bigint,
    sees_not bigint[]
)
WITH (toast_tuple_target='8160');

ALTER TABLE ONLY queue.lane_log REPLICA IDENTITY FULL;

COMMENT ON TABLE queue.lane_log IS 'What changed in the lanes of a queue: turns (claims and settings, numbered) and changes of job counts';

COMMENT ON COLUMN queue.lane_log.queue IS 'The queue';

COMMENT ON COLUMN queue.lane_log.txid IS 'The transaction that wrote it';

COMMENT ON COLUMN queue.lane_log.at IS 'When';

COMMENT ON COLUMN queue.lane_log.no IS 'Number of the turn; null for changes of counts';

COMMENT ON COLUMN queue.lane_log.worker_id IS 'Who claimed; null when the turn changed settings';

COMMENT ON COLUMN queue.lane_log.virtual_times IS 'Virtual times of the queue after a claim: of live work, of backfills';

COMMENT ON COLUMN queue.lane_log.queue_tat IS 'Theoretical arrival time of the whole queue after a claim; null without a rate';

COMMENT ON COLUMN queue.lane_log.tenants IS 'Element i of each array belongs to one lane; these are their tenants';

COMMENT ON COLUMN queue.lane_log.backfills IS 'The backfill of the jobs; null for live work';

COMMENT ON COLUMN queue.lane_log.priorities IS 'Counts: priority of the jobs';

COMMENT ON COLUMN queue.lane_log.states IS 'Counts: state of the jobs';

COMMENT ON COLUMN queue.lane_log.changes IS 'Counts: by how much the number of these jobs changed';

COMMENT ON COLUMN queue.lane_log.lowest IS 'Counts: lowest seq that came into the state';

COMMENT ON COLUMN queue.lane_log.tags IS 'Claims: finish tag of the lane, in virtual time';

COMMENT ON COLUMN queue.lane_log.tats IS 'Claims: theoretical arrival time of the lane; null without a rate';

COMMENT ON COLUMN queue.lane_log.returned IS 'Counts: jobs that were there before changed; each that became available has an element of its own, with its seq as lowest';

COMMENT ON COLUMN queue.lane_log.of_turn IS 'Counts: the turn of the claim that made them; the lowest of running jobs is then the seq after the last that was taken';

COMMENT ON COLUMN queue.lane_log.sees_before IS 'Counts of a claim: it was decided on what transactions below this one did; null in those from before this column, which tell nothing';

COMMENT ON COLUMN queue.lane_log.sees_not IS 'Counts of a claim: but for these, which were under way';

CREATE TABLE queue.lanes (
    tenant_id uuid NOT NULL,
    queue text NOT NULL,
    paused boolean DEFAULT false NOT NULL,
    limits jsonb
);

COMMENT ON TABLE queue.lanes IS 'Settings of lanes; a lane without a row has those of its queue';

COMMENT ON COLUMN queue.lanes.tenant_id IS 'Whose lane it is';

COMMENT ON COLUMN queue.lanes.queue IS 'The queue';

COMMENT ON COLUMN queue.lanes.paused IS 'Whether nothing of it starts';

COMMENT ON COLUMN queue.lanes.limits IS '{"rate", "period_ms", "burst", "max_running", "weight"} in place of the queue''s lane_limits; null for these';

CREATE TABLE queue.leader (
    term bigint NOT NULL,
    only_row boolean DEFAULT true NOT NULL,
    holder uuid,
    host text,
    pid integer,
    lease_until timestamp with time zone NOT NULL,
    CONSTRAINT leader_only_row_check CHECK (only_row)
);

COMMENT ON TABLE queue.leader IS 'Who does what only one host may do; one row, locked by every act of the leader';

COMMENT ON COLUMN queue.leader.term IS 'Grows with each change of hands; an act under an older term changes nothing. The key, so that acts (for key share) hold up a change of hands but not a renewal';

COMMENT ON COLUMN queue.leader.only_row IS 'True; there is one row';

COMMENT ON COLUMN queue.leader.holder IS 'The process that leads, or led last; null when it stepped down';

COMMENT ON COLUMN queue.leader.host IS 'Its host name, for people';

COMMENT ON COLUMN queue.leader.pid IS 'Its process id on that host, for people';

COMMENT ON COLUMN queue.leader.lease_until IS 'Until when it leads unless it renews';

CREATE TABLE queue.pulse (
    step_s integer NOT NULL,
    at timestamp with time zone NOT NULL,
    queue text NOT NULL,
    kind text NOT NULL,
    completed bigint NOT NULL,
    retried bigint NOT NULL,
    discarded bigint NOT NULL,
    cancelled bigint NOT NULL,
    snoozed bigint NOT NULL,
    waits bigint[] NOT NULL,
    runs bigint[] NOT NULL,
    CONSTRAINT pulse_step_s_check CHECK ((step_s = ANY (ARRAY[60, 900, 3600])))
)
WITH (fillfactor='50');

COMMENT ON TABLE queue.pulse IS 'How runs went, as the workers told: by stretch of time, queue and kind';

COMMENT ON COLUMN queue.pulse.step_s IS 'Length of the stretch in seconds: a minute, a quarter of an hour, an hour';

COMMENT ON COLUMN queue.pulse.at IS 'When it begins';

COMMENT ON COLUMN queue.pulse.queue IS 'The queue';

COMMENT ON COLUMN queue.pulse.kind IS 'The kind of job';

COMMENT ON COLUMN queue.pulse.completed IS 'Runs that completed their job';

COMMENT ON COLUMN queue.pulse.retried IS 'Runs that failed and are tried again';

COMMENT ON COLUMN queue.pulse.discarded IS 'Runs that failed for good';

COMMENT ON COLUMN queue.pulse.cancelled IS 'Runs that were stopped by a cancel';

COMMENT ON COLUMN queue.pulse.snoozed IS 'Runs that put themselves off';

COMMENT ON COLUMN queue.pulse.waits IS 'Runs by how long their jobs were due before they were claimed, but for backfills: up to 1 ms, 2.5, 5, 10, 25, 50, 100, 250, 500 ms, 1 s, 2.5, 10, 30 s, 1 min, 5, 15 min, 1 h, and longer';

COMMENT ON COLUMN queue.pulse.runs IS 'Runs by how long they took, in the same steps';

CREATE TABLE queue.queues (
    name text NOT NULL,
    paused boolean DEFAULT false NOT NULL,
    limits jsonb DEFAULT '{}'::jsonb NOT NULL,
    lane_limits jsonb DEFAULT '{}'::jsonb NOT NULL
);

COMMENT ON TABLE queue.queues IS 'Settings of queues; a queue without a row has none';

COMMENT ON COLUMN queue.queues.name IS 'Name of the queue';

COMMENT ON COLUMN queue.queues.paused IS 'Whether nothing of it starts';

COMMENT ON COLUMN queue.queues.limits IS 'Of all its lanes together: {"rate", "period_ms", "burst", "max_running"}, each may be missing';

COMMENT ON COLUMN queue.queues.lane_limits IS 'Of each lane that has no limits of its own: as limits, and "weight"';

CREATE TABLE queue.schedule_ticks (
    tenant_id uuid NOT NULL,
    schedule text NOT NULL,
    tick timestamp with time zone NOT NULL,
    fired boolean NOT NULL,
    job_id uuid,
    decided_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE queue.schedule_ticks IS 'Ticks that were decided; committed with what they enqueued, so that each fires once';

COMMENT ON COLUMN queue.schedule_ticks.tenant_id IS 'Whose tick it is; the nil UUID for a schedule that is not per tenant';

COMMENT ON COLUMN queue.schedule_ticks.schedule IS 'Name of the schedule';

COMMENT ON COLUMN queue.schedule_ticks.tick IS 'When it was due';

COMMENT ON COLUMN queue.schedule_ticks.fired IS 'False for the newest of the missed ticks that were passed over';

COMMENT ON COLUMN queue.schedule_ticks.job_id IS 'The job that stands for what it enqueued';

COMMENT ON COLUMN queue.schedule_ticks.decided_at IS 'When it was fired or passed over';

CREATE TABLE queue.schedules (
    name text NOT NULL,
    cron text NOT NULL,
    time_zone text,
    enabled boolean NOT NULL,
    missed text NOT NULL,
    missed_limit integer NOT NULL,
    since timestamp with time zone NOT NULL,
    upkeep_at timestamp with time zone,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT schedules_missed_check CHECK ((missed = ANY (ARRAY['skip'::text, 'one'::text, 'all'::text]))),
    CONSTRAINT schedules_missed_limit_check CHECK (((missed_limit >= 1) AND (missed_limit <= 1000)))
);

COMMENT ON TABLE queue.schedules IS 'Settings of the schedules that the program knows; its defaults on first sight, then what operators set';

COMMENT ON COLUMN queue.schedules.name IS 'Permanent name';

COMMENT ON COLUMN queue.schedules.cron IS 'Second, minute, hour, day of month, month, day of week';

COMMENT ON COLUMN queue.schedules.time_zone IS 'IANA time zone that the expression is read in; null for each tenant''s own';

COMMENT ON COLUMN queue.schedules.enabled IS 'False while it is paused';

COMMENT ON COLUMN queue.schedules.missed IS 'What happens to ticks that are over a minute late: skip, one (the newest) or all';

COMMENT ON COLUMN queue.schedules.missed_limit IS 'With all: at most so many, the newest';

COMMENT ON COLUMN queue.schedules.since IS 'When it was enabled or its times were changed; earlier ticks are nobody''s';

COMMENT ON COLUMN queue.schedules.upkeep_at IS 'When upkeep was last done, kept to the minute; null for schedules that enqueue';

COMMENT ON COLUMN queue.schedules.updated_at IS 'When its settings were last changed';

CREATE TABLE queue.sleepers (
    queue text NOT NULL,
    worker_id uuid NOT NULL
);

COMMENT ON TABLE queue.sleepers IS 'Workers that find nothing to do in a queue, and look again when they are told of a job';

COMMENT ON COLUMN queue.sleepers.queue IS 'The queue';

COMMENT ON COLUMN queue.sleepers.worker_id IS 'The worker';

CREATE VIEW queue.taken AS
 SELECT c.worker_id,
    c.queue,
    c.no,
    c.at,
    t.seq,
    t.run
   FROM (queue.claims c
     CROSS JOIN LATERAL UNNEST(c.jobs, c.runs) t(seq, run));

COMMENT ON VIEW queue.taken IS 'Claims, job by job. A job that is available, with the run before this one, runs and is not marked yet';

CREATE TABLE queue.unsettled (
    id bigint NOT NULL,
    job_id uuid NOT NULL,
    after_child uuid NOT NULL
);

COMMENT ON TABLE queue.unsettled IS 'Jobs that ended or live again, and whose children are still to be told';

COMMENT ON COLUMN queue.unsettled.id IS 'Order of writing';

COMMENT ON COLUMN queue.unsettled.job_id IS 'The job whose state its children are to be told';

COMMENT ON COLUMN queue.unsettled.after_child IS 'Children up to this id have been told';

ALTER TABLE queue.unsettled ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME queue.unsettled_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE queue.workers (
    id uuid NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    version text NOT NULL,
    queues text[] NOT NULL,
    started_at timestamp with time zone NOT NULL,
    heartbeat_at timestamp with time zone NOT NULL,
    lease_until timestamp with time zone NOT NULL,
    slots integer DEFAULT 0 NOT NULL,
    drain_requested_at timestamp with time zone,
    history uuid DEFAULT queue.recorded_history()
);

COMMENT ON TABLE queue.workers IS 'Worker processes that hold a lease, or held one until lately';

COMMENT ON COLUMN queue.workers.id IS 'Id of this registration; a process that lost its lease gets a new one';

COMMENT ON COLUMN queue.workers.host IS 'Host name';

COMMENT ON COLUMN queue.workers.pid IS 'Process id on that host';

COMMENT ON COLUMN queue.workers.version IS 'Version of the program';

COMMENT ON COLUMN queue.workers.queues IS 'Queues it claims from';

COMMENT ON COLUMN queue.workers.started_at IS 'When it registered';

COMMENT ON COLUMN queue.workers.heartbeat_at IS 'Last sign of life';

COMMENT ON COLUMN queue.workers.lease_until IS 'Until when its running jobs are its own; after that they are rescued';

COMMENT ON COLUMN queue.workers.slots IS 'Jobs it runs at once in each queue';

COMMENT ON COLUMN queue.workers.drain_requested_at IS 'Since when it claims nothing more: it ends with its last running job';

COMMENT ON COLUMN queue.workers.history IS 'The history in which it registered; in another one it claims nothing, ends what it runs and registers anew';

CREATE TABLE queue.workflows (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    name text,
    subject text,
    created_at timestamp with time zone DEFAULT queue.now() NOT NULL
);

COMMENT ON TABLE queue.workflows IS 'What workflows are called; their jobs name them by workflow_id';

COMMENT ON COLUMN queue.workflows.id IS 'The workflow; of version 7, so that ids have the order of time';

COMMENT ON COLUMN queue.workflows.tenant_id IS 'Of its first job';

COMMENT ON COLUMN queue.workflows.name IS 'What the application calls workflows of its kind; null where it gave none';

COMMENT ON COLUMN queue.workflows.subject IS 'What it is about, as its jobs; null where the application said nothing';

COMMENT ON COLUMN queue.workflows.created_at IS 'When it was enqueued';

ALTER TABLE ONLY public.api_key_changes
    ADD CONSTRAINT api_key_changes_pkey PRIMARY KEY (is_only);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (tenant_id, id);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_prefix_key UNIQUE (prefix);

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.exports
    ADD CONSTRAINT exports_pkey PRIMARY KEY (tenant_id, id);

ALTER TABLE ONLY public.exports
    ADD CONSTRAINT exports_tenant_id_export_date_format_key UNIQUE (tenant_id, export_date, format);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.ingest_rejects
    ADD CONSTRAINT ingest_rejects_pkey PRIMARY KEY (tenant_id, dataset, origin, line);

ALTER TABLE ONLY public.ingest_seen
    ADD CONSTRAINT ingest_seen_pkey PRIMARY KEY (tenant_id, dataset, generation, batch);

ALTER TABLE ONLY public.ingest_turns
    ADD CONSTRAINT ingest_turns_pkey PRIMARY KEY (tenant_id, dataset);

ALTER TABLE ONLY public.known_browsers
    ADD CONSTRAINT known_browsers_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY public.kpi_daily
    ADD CONSTRAINT kpi_daily_pkey PRIMARY KEY (tenant_id, kpi_date);

ALTER TABLE ONLY public.raw_csat_surveys
    ADD CONSTRAINT raw_csat_surveys_pkey PRIMARY KEY (tenant_id, survey_id);

ALTER TABLE ONLY public.raw_security_alerts
    ADD CONSTRAINT raw_security_alerts_pkey PRIMARY KEY (tenant_id, source, alert_id);

ALTER TABLE ONLY public.raw_tickets
    ADD CONSTRAINT raw_tickets_pkey PRIMARY KEY (tenant_id, cw_ticket_id);

ALTER TABLE ONLY public.raw_time_entries
    ADD CONSTRAINT raw_time_entries_pkey PRIMARY KEY (tenant_id, cw_time_entry_id);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY public.source_runs
    ADD CONSTRAINT source_runs_pkey PRIMARY KEY (tenant_id, dataset);

ALTER TABLE ONLY public.tenants
    ADD CONSTRAINT tenants_pkey PRIMARY KEY (id);

ALTER TABLE public.tenants
    ADD CONSTRAINT tenants_slug_is_no_id CHECK ((slug !~* '^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$'::text)) NOT VALID;

ALTER TABLE ONLY public.tenants
    ADD CONSTRAINT tenants_slug_key UNIQUE (slug);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY queue.backfills_behind
    ADD CONSTRAINT backfills_behind_pkey PRIMARY KEY (backfill_id, tenant_id);

ALTER TABLE ONLY queue.backfills
    ADD CONSTRAINT backfills_pkey PRIMARY KEY (id);

ALTER TABLE ONLY queue.claims
    ADD CONSTRAINT claims_pkey PRIMARY KEY (worker_id, queue, no);

ALTER TABLE queue.lane_log
    ADD CONSTRAINT claims_see CHECK (((of_turn IS NULL) OR ((sees_before IS NOT NULL) AND (sees_not IS NOT NULL)))) NOT VALID;

ALTER TABLE ONLY queue.failure_hours
    ADD CONSTRAINT failure_hours_pkey PRIMARY KEY (failure_id, at);

ALTER TABLE ONLY queue.failures
    ADD CONSTRAINT failures_pkey PRIMARY KEY (id);

ALTER TABLE ONLY queue.history
    ADD CONSTRAINT history_pkey PRIMARY KEY (is_only);

ALTER TABLE ONLY queue.job_dependencies
    ADD CONSTRAINT job_dependencies_pkey PRIMARY KEY (child_id, parent_id);

ALTER TABLE ONLY queue.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY queue.lane_books
    ADD CONSTRAINT lane_books_pkey PRIMARY KEY (queue, at);

ALTER TABLE ONLY queue.lanes
    ADD CONSTRAINT lanes_pkey PRIMARY KEY (tenant_id, queue);

ALTER TABLE ONLY queue.leader
    ADD CONSTRAINT leader_only_row_key UNIQUE (only_row);

ALTER TABLE ONLY queue.leader
    ADD CONSTRAINT leader_pkey PRIMARY KEY (term);

ALTER TABLE ONLY queue.pulse
    ADD CONSTRAINT pulse_pkey PRIMARY KEY (step_s, at, queue, kind);

ALTER TABLE ONLY queue.queues
    ADD CONSTRAINT queues_pkey PRIMARY KEY (name);

ALTER TABLE ONLY queue.schedule_ticks
    ADD CONSTRAINT schedule_ticks_pkey PRIMARY KEY (tenant_id, schedule, tick);

ALTER TABLE ONLY queue.schedules
    ADD CONSTRAINT schedules_pkey PRIMARY KEY (name);

ALTER TABLE ONLY queue.sleepers
    ADD CONSTRAINT sleepers_pkey PRIMARY KEY (queue, worker_id);

ALTER TABLE ONLY queue.unsettled
    ADD CONSTRAINT unsettled_pkey PRIMARY KEY (id);

ALTER TABLE ONLY queue.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY queue.workflows
    ADD CONSTRAINT workflows_pkey PRIMARY KEY (id);

CREATE INDEX audit_by_time ON public.audit USING btree (at);

CREATE INDEX audit_failed ON public.audit USING btree (at) WHERE (once IS NOT NULL);

CREATE INDEX audit_of_actor ON public.audit USING btree (lower(actor), id);

CREATE INDEX audit_of_target ON public.audit USING btree (target, id);

CREATE INDEX audit_of_tenant ON public.audit USING btree (tenant_id, id) WHERE (tenant_id IS NOT NULL);

CREATE UNIQUE INDEX audit_once ON public.audit USING btree (once) WHERE (once IS NOT NULL);

CREATE INDEX idempotency_keys_created ON public.idempotency_keys USING btree (created_at);

CREATE INDEX ingest_rejects_at ON public.ingest_rejects USING btree (rejected_at);

CREATE INDEX ingest_rejects_dataset ON public.ingest_rejects USING btree (dataset, rejected_at);

CREATE INDEX ingest_rejects_job ON public.ingest_rejects USING btree (job_id);

CREATE INDEX known_browsers_user ON public.known_browsers USING btree (user_id, created_at);

CREATE INDEX kpi_daily_unusual ON public.kpi_daily USING btree (kpi_date, tenant_id) WHERE anomaly_detected;

CREATE INDEX raw_csat_surveys_listed ON public.raw_csat_surveys USING btree (tenant_id, submitted_at, survey_id) WHERE (deleted_at IS NULL);

CREATE INDEX raw_csat_surveys_submitted ON public.raw_csat_surveys USING btree (tenant_id, submitted_at) INCLUDE (score, deleted_at);

CREATE INDEX raw_security_alerts_detected ON public.raw_security_alerts USING btree (tenant_id, detected_at);

CREATE INDEX raw_security_alerts_listed ON public.raw_security_alerts USING btree (tenant_id, detected_at, source, alert_id) WHERE (deleted_at IS NULL);

CREATE INDEX raw_tickets_closed ON public.raw_tickets USING btree (tenant_id, closed_at) WHERE (closed_at IS NOT NULL);

CREATE INDEX raw_tickets_created ON public.raw_tickets USING btree (tenant_id, created_at_remote, closed_at) INCLUDE (deleted_at);

CREATE INDEX raw_tickets_listed ON public.raw_tickets USING btree (tenant_id, created_at_remote, cw_ticket_id) WHERE (deleted_at IS NULL);

CREATE INDEX raw_tickets_long_open ON public.raw_tickets USING btree (tenant_id, created_at_remote, closed_at) INCLUDE (deleted_at) WHERE ((closed_at IS NULL) OR ((closed_at - created_at_remote) > '28 days'::interval));

CREATE INDEX raw_time_entries_day ON public.raw_time_entries USING btree (tenant_id, date_worked) INCLUDE (minutes, billable, deleted_at);

CREATE INDEX raw_time_entries_listed ON public.raw_time_entries USING btree (tenant_id, date_worked, cw_time_entry_id) WHERE (deleted_at IS NULL);

CREATE INDEX raw_time_entries_ticket ON public.raw_time_entries USING btree (tenant_id, cw_ticket_id) INCLUDE (deleted_at);

CREATE INDEX sessions_user ON public.sessions USING btree (user_id);

CREATE INDEX source_runs_rejected ON public.source_runs USING btree (tenant_id) INCLUDE (rejected) WHERE (rejected > 0);

CREATE INDEX source_runs_trouble ON public.source_runs USING btree (trouble, tenant_id, dataset) WHERE (trouble IS NOT NULL);

CREATE UNIQUE INDEX users_email ON public.users USING btree (lower(email));

CREATE INDEX backfills_unfinished ON queue.backfills USING btree (id) WHERE (finished_at IS NULL);

CREATE INDEX claims_turn ON queue.claims USING btree (queue, no);

CREATE INDEX failures_last_seen ON queue.failures USING btree (last_seen, id);

CREATE INDEX job_dependencies_parent ON queue.job_dependencies USING btree (parent_id, child_id);

CREATE INDEX jobs_aside ON queue.jobs USING btree (aside, seq) WHERE (aside IS NOT NULL);

CREATE INDEX jobs_backfill ON queue.jobs USING btree (backfill_id, seq) WHERE (backfill_id IS NOT NULL);

CREATE INDEX jobs_backfill_failed ON queue.jobs USING btree (backfill_id, seq) WHERE ((backfill_id IS NOT NULL) AND (aside = 'discarded'::queue.job_state));

CREATE INDEX jobs_backfill_live ON queue.jobs USING btree (live_backfill_id, seq) WHERE (live_backfill_id IS NOT NULL);

CREATE INDEX jobs_due ON queue.jobs USING btree (scheduled_at) WHERE (aside = ANY (ARRAY['scheduled'::queue.job_state, 'retryable'::queue.job_state]));

CREATE INDEX jobs_failed_day ON queue.jobs USING btree (kind, tenant_id, "left"((args ->> 'date'::text), 10)) WHERE (aside = ANY (ARRAY['discarded'::queue.job_state, 'cancelled'::queue.job_state]));

CREATE INDEX jobs_failing_subject ON queue.jobs USING btree (tenant_id, queue.job_subject(subject, args), seq) WHERE (aside = ANY (ARRAY['retryable'::queue.job_state, 'cancelled'::queue.job_state, 'discarded'::queue.job_state]));

CREATE INDEX jobs_failure ON queue.jobs USING btree (failure_id, seq) INCLUDE (aside) WHERE ((failure_id IS NOT NULL) AND (aside = ANY (ARRAY['retryable'::queue.job_state, 'discarded'::queue.job_state])));

CREATE INDEX jobs_flow ON queue.jobs USING btree (queue.flow_key(queue, tenant_id, backfill_id), priority, seq);

CREATE UNIQUE INDEX jobs_seq ON queue.jobs USING btree (seq);

CREATE INDEX jobs_tenant ON queue.jobs USING btree (tenant_id, seq);

CREATE INDEX jobs_tenant_aside ON queue.jobs USING btree (tenant_id, seq) WHERE (aside IS NOT NULL);

CREATE UNIQUE INDEX jobs_unique ON queue.jobs USING btree (live_key) WHERE (live_key IS NOT NULL);

CREATE INDEX jobs_workflow ON queue.jobs USING btree (workflow_id, seq) WHERE (workflow_id IS NOT NULL);

CREATE INDEX lane_log_new ON queue.lane_log USING btree (queue, txid);

CREATE UNIQUE INDEX lane_log_turn ON queue.lane_log USING btree (queue, no) WHERE (no IS NOT NULL);

CREATE INDEX lanes_paused ON queue.lanes USING btree (tenant_id) WHERE paused;

CREATE INDEX schedule_ticks_newest ON queue.schedule_ticks USING btree (schedule, tick);

CREATE INDEX sleepers_worker ON queue.sleepers USING btree (worker_id);

CREATE INDEX workers_lease ON queue.workers USING btree (lease_until);

CREATE INDEX workflows_subject ON queue.workflows USING btree (subject, id) WHERE (subject IS NOT NULL);

CREATE INDEX workflows_tenant ON queue.workflows USING btree (tenant_id, id);

CREATE INDEX workflows_tenant_subject ON queue.workflows USING btree (tenant_id, subject, id) WHERE (subject IS NOT NULL);

CREATE TRIGGER api_keys_added AFTER INSERT ON public.api_keys FOR EACH STATEMENT EXECUTE FUNCTION public.count_added_api_keys();

CREATE TRIGGER audit_never_emptied BEFORE TRUNCATE ON public.audit FOR EACH STATEMENT EXECUTE FUNCTION public.audit_is_only_added_to();

CREATE TRIGGER audit_only_added_to BEFORE DELETE OR UPDATE ON public.audit FOR EACH ROW EXECUTE FUNCTION public.audit_is_only_added_to();

CREATE TRIGGER keep_identity BEFORE UPDATE OF id, slug ON public.tenants FOR EACH ROW WHEN (((old.id IS DISTINCT FROM new.id) OR (old.slug IS DISTINCT FROM new.slug))) EXECUTE FUNCTION public.keep_tenant_identity();

CREATE TRIGGER set_closed_at BEFORE INSERT OR UPDATE OF status, closed_flag, closed_at_remote, updated_at_remote, closed_at ON public.raw_tickets FOR EACH ROW EXECUTE FUNCTION public.set_ticket_closed_at();

CREATE TRIGGER tenants_time_zone_is_known_insert AFTER INSERT ON public.tenants REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_unknown_time_zones();

CREATE TRIGGER tenants_time_zone_is_known_update AFTER UPDATE ON public.tenants REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_unknown_time_zones();

CREATE TRIGGER keep_source_run AFTER UPDATE OF state ON queue.jobs FOR EACH ROW WHEN (((new.state = ANY (ARRAY['completed'::queue.job_state, 'discarded'::queue.job_state])) AND (new.state <> old.state) AND (new.kind ^@ 'ingest_'::text))) EXECUTE FUNCTION public.keep_source_run();

CREATE TRIGGER log_deleted AFTER DELETE ON queue.jobs REFERENCING OLD TABLE AS old_jobs FOR EACH STATEMENT EXECUTE FUNCTION queue.log_deleted_jobs();

CREATE TRIGGER log_inserted AFTER INSERT ON queue.jobs REFERENCING NEW TABLE AS new_jobs FOR EACH STATEMENT EXECUTE FUNCTION queue.log_inserted_jobs();

CREATE TRIGGER log_updated AFTER UPDATE ON queue.jobs REFERENCING OLD TABLE AS old_jobs NEW TABLE AS new_jobs FOR EACH STATEMENT EXECUTE FUNCTION queue.log_updated_jobs();

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.exports
    ADD CONSTRAINT exports_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.ingest_rejects
    ADD CONSTRAINT ingest_rejects_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.ingest_seen
    ADD CONSTRAINT ingest_seen_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.ingest_turns
    ADD CONSTRAINT ingest_turns_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.known_browsers
    ADD CONSTRAINT known_browsers_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.kpi_daily
    ADD CONSTRAINT kpi_daily_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.raw_csat_surveys
    ADD CONSTRAINT raw_csat_surveys_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.raw_security_alerts
    ADD CONSTRAINT raw_security_alerts_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.raw_tickets
    ADD CONSTRAINT raw_tickets_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.raw_time_entries
    ADD CONSTRAINT raw_time_entries_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.source_runs
    ADD CONSTRAINT source_runs_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY queue.backfills_behind
    ADD CONSTRAINT backfills_behind_backfill_id_fkey FOREIGN KEY (backfill_id) REFERENCES queue.backfills(id) ON DELETE CASCADE;

ALTER TABLE ONLY queue.failure_hours
    ADD CONSTRAINT failure_hours_failure_id_fkey FOREIGN KEY (failure_id) REFERENCES queue.failures(id) ON DELETE CASCADE;

ALTER TABLE ONLY queue.job_dependencies
    ADD CONSTRAINT job_dependencies_child_id_fkey FOREIGN KEY (child_id) REFERENCES queue.jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY queue.job_dependencies
    ADD CONSTRAINT job_dependencies_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES queue.jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY queue.sleepers
    ADD CONSTRAINT sleepers_worker_id_fkey FOREIGN KEY (worker_id) REFERENCES queue.workers(id) ON DELETE CASCADE;

ALTER TABLE public.api_keys ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.audit ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.exports ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.ingest_rejects ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.ingest_seen ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.ingest_turns ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.kpi_daily ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.raw_csat_surveys ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.raw_security_alerts ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.raw_tickets ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.raw_time_entries ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.source_runs ENABLE ROW LEVEL SECURITY;

CREATE POLICY tenant_reads ON public.api_keys FOR SELECT TO weirgate_tenant USING ((tenant_id = public.current_tenant()));

CREATE POLICY tenant_reads ON public.audit FOR SELECT TO weirgate_tenant USING ((tenant_id = public.current_tenant()));

CREATE POLICY tenant_reads ON public.exports FOR SELECT TO weirgate_tenant USING ((tenant_id = public.current_tenant()));

CREATE POLICY tenant_reads ON public.ingest_rejects FOR SELECT TO weirgate_tenant USING ((tenant_id = public.current_tenant()));

CREATE POLICY tenant_reads ON public.kpi_daily FOR SELECT TO weirgate_tenant USING ((tenant_id = public.current_tenant()));

CREATE POLICY tenant_reads ON public.raw_csat_surveys FOR SELECT TO weirgate_tenant USING (((tenant_id = public.current_tenant()) AND (deleted_at IS NULL)));

CREATE POLICY tenant_reads ON public.raw_security_alerts FOR SELECT TO weirgate_tenant USING (((tenant_id = public.current_tenant()) AND (deleted_at IS NULL)));

CREATE POLICY tenant_reads ON public.raw_tickets FOR SELECT TO weirgate_tenant USING (((tenant_id = public.current_tenant()) AND (deleted_at IS NULL)));

CREATE POLICY tenant_reads ON public.raw_time_entries FOR SELECT TO weirgate_tenant USING (((tenant_id = public.current_tenant()) AND (deleted_at IS NULL)));

CREATE POLICY tenant_reads ON public.tenants FOR SELECT TO weirgate_tenant USING ((id = public.current_tenant()));

ALTER TABLE public.tenants ENABLE ROW LEVEL SECURITY;

ALTER TABLE queue.backfills_behind ENABLE ROW LEVEL SECURITY;

ALTER TABLE queue.job_dependencies ENABLE ROW LEVEL SECURITY;

ALTER TABLE queue.jobs ENABLE ROW LEVEL SECURITY;

ALTER TABLE queue.lanes ENABLE ROW LEVEL SECURITY;

ALTER TABLE queue.schedule_ticks ENABLE ROW LEVEL SECURITY;

CREATE POLICY tenant_reads ON queue.job_dependencies FOR SELECT TO weirgate_tenant USING ((tenant_id = public.current_tenant()));

CREATE POLICY tenant_reads ON queue.jobs FOR SELECT TO weirgate_tenant USING ((tenant_id = public.current_tenant()));

CREATE POLICY tenant_reads ON queue.lanes FOR SELECT TO weirgate_tenant USING ((tenant_id = public.current_tenant()));

CREATE POLICY tenant_reads ON queue.schedule_ticks FOR SELECT TO weirgate_tenant USING ((tenant_id = public.current_tenant()));

ALTER TABLE queue.workflows ENABLE ROW LEVEL SECURITY;

GRANT USAGE ON SCHEMA public TO weirgate_tenant;

GRANT USAGE ON SCHEMA queue TO weirgate_tenant;

GRANT SELECT ON TABLE public.exports TO weirgate_tenant;

GRANT SELECT ON TABLE public.ingest_rejects TO weirgate_tenant;

GRANT SELECT ON TABLE public.kpi_daily TO weirgate_tenant;

GRANT SELECT ON TABLE public.raw_csat_surveys TO weirgate_tenant;

GRANT SELECT ON TABLE public.raw_security_alerts TO weirgate_tenant;

GRANT SELECT ON TABLE public.raw_tickets TO weirgate_tenant;

GRANT SELECT ON TABLE public.raw_time_entries TO weirgate_tenant;

GRANT SELECT ON TABLE public.tenants TO weirgate_tenant;

GRANT SELECT(jobs) ON TABLE queue.claims TO weirgate_tenant;

GRANT SELECT ON TABLE queue.job_dependencies TO weirgate_tenant;

GRANT SELECT ON TABLE queue.jobs TO weirgate_tenant;

GRANT SELECT ON TABLE queue.lanes TO weirgate_tenant;

GRANT SELECT(id) ON TABLE queue.workers TO weirgate_tenant;

GRANT SELECT(queues) ON TABLE queue.workers TO weirgate_tenant;

GRANT SELECT(lease_until) ON TABLE queue.workers TO weirgate_tenant;

GRANT SELECT(drain_requested_at) ON TABLE queue.workers TO weirgate_tenant;


reset check_function_bodies;
