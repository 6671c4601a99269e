-- The schema queue as its migrations make it. Written by scripts/sqlx-prepare.

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

CREATE FUNCTION queue.add_each(a bigint[], b bigint[]) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    select array_agg(x + y order by position) from unnest(a, b) with ordinality as pair (x, y, position)
$$;

COMMENT ON FUNCTION queue.add_each(a bigint[], b bigint[]) IS 'The sums of two arrays of the same length, element by element';

CREATE FUNCTION queue.add_final_hook(kind_prefix text, hook regproc) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    if to_regprocedure(hook || '(uuid, uuid, text, text, timestamptz, jsonb, jsonb)') is null then
        raise exception '% does not take the arguments of a hook', hook
            using hint = 'declare it with (job uuid, tenant uuid, kind text, state text, '
                'finalized_at timestamptz, output jsonb, error jsonb)';
    end if;
    execute format(
        $trigger$
            create trigger %I after update of state on queue.jobs
            for each row when (
                new.state in ('completed', 'cancelled', 'discarded') and new.state <> old.state and new.kind ^@ %L)
            execute function queue.call_final_hook(%L)
        $trigger$,
        'final_hook ' || hook, kind_prefix, hook);
end
$_$;

COMMENT ON FUNCTION queue.add_final_hook(kind_prefix text, hook regproc) IS 'Adds a hook: a function that is called whenever a job becomes final whose kind begins with the prefix, in the transaction that makes it so. It is called as hook(job uuid, tenant uuid, kind text, state text, finalized_at timestamptz, output jsonb, error jsonb), with a search_path of pg_catalog, and its result is ignored. The state is completed, cancelled or discarded; the output is what the handler returned, and null unless the job completed; the error is the last of the job''s failed attempts as {"attempt", "at", "code", "message", "retry_at"}, and null where none failed or the job completed. A hook that fails keeps its jobs from ending. A function is a hook of one prefix, and is removed as a hook before it is dropped';

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

CREATE FUNCTION queue.call_final_hook() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    execute format('select %s($1, $2, $3, $4, $5, $6, $7)', tg_argv[0])
    using new.id, new.tenant_id, new.kind, new.state::text, new.finalized_at,
        case when new.state = 'completed' then new.output end,
        case when new.state <> 'completed' then new.errors -> -1 end;
    return null;
end
$_$;

COMMENT ON FUNCTION queue.call_final_hook() IS 'Calls the hook that the trigger names, with what queue.add_final_hook lists';

CREATE FUNCTION queue.delete_private_args() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    delete from queue.private_args where seq = old.seq;
    return null;
end
$$;

COMMENT ON FUNCTION queue.delete_private_args() IS 'Deletes the private argument of a job that is completed, cancelled or deleted';

CREATE FUNCTION queue.failed_jobs(kind text, tenant_id uuid, subject text) RETURNS TABLE(is_discarded boolean, args jsonb, workflow_id uuid, finalized_at timestamp with time zone)
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $_$
    select j.state = 'discarded', j.args, j.workflow_id, j.finalized_at
    from queue.jobs j
    where j.kind = $1 and j.tenant_id = $2 and j.subject = $3 and j.cold_state in ('discarded', 'cancelled')
      and (j.state = 'discarded' or j.errors @> '[{"code": "dependency_failed"}]')
$_$;

COMMENT ON FUNCTION queue.failed_jobs(kind text, tenant_id uuid, subject text) IS 'The jobs of a kind, a tenant and a subject that were discarded, or cancelled since a job that they depended on failed';

CREATE FUNCTION queue.failed_jobs_between(kind text, tenant_id uuid, first_subject text, last_subject text) RETURNS TABLE(subject text, is_discarded boolean, args jsonb, workflow_id uuid, finalized_at timestamp with time zone)
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $_$
    select j.subject, j.state = 'discarded', j.args, j.workflow_id, j.finalized_at
    from queue.jobs j
    where j.kind = $1 and j.tenant_id = $2 and j.subject between $3 and $4
      and j.cold_state in ('discarded', 'cancelled')
      and (j.state = 'discarded' or j.errors @> '[{"code": "dependency_failed"}]')
$_$;

COMMENT ON FUNCTION queue.failed_jobs_between(kind text, tenant_id uuid, first_subject text, last_subject text) IS 'The same of all subjects in this range';

CREATE FUNCTION queue.failure_id(kind text, code text, pattern text) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    select ('x' || left(encode(sha256(convert_to(
        kind || E'\n' || code || E'\n' || pattern, 'UTF8')), 'hex'), 13))::bit(52)::bigint
$$;

COMMENT ON FUNCTION queue.failure_id(kind text, code text, pattern text) IS 'The id of a failure: 52 bits of a hash, so that a JavaScript number holds it';

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

COMMENT ON FUNCTION queue.is_current_run(job uuid, run bigint, worker uuid) IS 'Whether a run is still the current one of its job, under a worker that holds its lease';

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
    cold_state queue.job_state GENERATED ALWAYS AS (
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
    has_private boolean DEFAULT false NOT NULL,
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

COMMENT ON COLUMN queue.jobs.pending_parents IS 'Number of edges to it whose outcome is pending: jobs that it waits for';

COMMENT ON COLUMN queue.jobs.args IS 'Arguments';

COMMENT ON COLUMN queue.jobs.output IS 'What the handler returned; until then, its checkpoint if it has one';

COMMENT ON COLUMN queue.jobs.progress IS '{"done", "total", "message"} of the current or last attempt';

COMMENT ON COLUMN queue.jobs.errors IS 'One element a failed attempt: attempt, at, code, message, retry_at';

COMMENT ON COLUMN queue.jobs.unique_key IS 'SHA-256 of what makes it unique while it is not final; null for any number';

COMMENT ON COLUMN queue.jobs.workflow_id IS 'The workflow it belongs to';

COMMENT ON COLUMN queue.jobs.backfill_id IS 'The backfill it belongs to';

COMMENT ON COLUMN queue.jobs.traceparent IS 'W3C trace context of the request that enqueued it';

COMMENT ON COLUMN queue.jobs.worker_id IS 'The worker that runs it now, or ran it last';

COMMENT ON COLUMN queue.jobs.cancel_requested_at IS 'When a running job was asked to stop';

COMMENT ON COLUMN queue.jobs.created_at IS 'When it was enqueued';

COMMENT ON COLUMN queue.jobs.scheduled_at IS 'When it may start, or became due';

COMMENT ON COLUMN queue.jobs.attempted_at IS 'When the last attempt started';

COMMENT ON COLUMN queue.jobs.finalized_at IS 'When it became completed, cancelled or discarded';

COMMENT ON COLUMN queue.jobs.name IS 'What people call it within its workflow';

COMMENT ON COLUMN queue.jobs.failed_parents IS 'Number of edges to it whose outcome is failed: discarded or cancelled jobs that it needs';

COMMENT ON COLUMN queue.jobs.cold_state IS 'The state, where it is a cold one; null in the states of the hot path (available, running, completed): for indexes, which the hot path then never writes';

COMMENT ON COLUMN queue.jobs.live_key IS 'The unique key, while the job is not final: no other live job may have it';

COMMENT ON COLUMN queue.jobs.live_backfill_id IS 'The backfill, while the job is not final';

COMMENT ON COLUMN queue.jobs.failure_id IS 'The failure of its last failed attempt (queue.failures)';

COMMENT ON COLUMN queue.jobs.subject IS 'What the job is about, such as a day, as the application says; null where the application says nothing';

COMMENT ON COLUMN queue.jobs.cancelled_by IS 'What cancelled the job, or asked it to stop: itself, its workflow, its backfill, a bulk action, or a failed job that it depended on';

COMMENT ON COLUMN queue.jobs.enqueued_by IS 'Who asked for the job, as the audit names them; null where a schedule, a backfill or another job enqueued it';

COMMENT ON COLUMN queue.jobs.has_private IS 'Whether it was enqueued with a private argument, which may be deleted by now (queue.private_args)';

CREATE FUNCTION queue.is_open(job uuid) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (EXISTS (SELECT FROM queue.jobs j WHERE ((j.id = is_open.job) AND (j.finalized_at IS NULL))));

COMMENT ON FUNCTION queue.is_open(job uuid) IS 'Whether there is such a job, and it is not final';

CREATE FUNCTION queue.log_deleted_jobs() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    insert into queue.lane_log (queue, tenants, backfills, priorities, states, changes, lowest)
    select queue, array_agg(tenant_id), array_agg(backfill_id), array_agg(priority), array_agg(state),
        array_agg(change), array_fill(null::bigint, array[count(*)::integer])
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
    select queue, array_agg(tenant_id), array_agg(backfill_id), array_agg(priority), array_agg(state),
        array_agg(change), array_agg(lowest)
    from (
        select queue, tenant_id, backfill_id, priority, state, count(*)::integer as change, min(seq) as lowest
        from new_jobs group by 1, 2, 3, 4, 5
    ) as counted
    group by queue;
    -- A statement of its own, as it must see more than the one that inserts: a worker that is not
    -- visible here began to wait after this transaction got its id, and finds the transaction in
    -- progress. Where all statements of a transaction share one snapshot, that cannot be relied on,
    -- and everybody is notified.
    perform pg_notify('weirgate_jobs', woken.queue)
    from (select distinct queue from new_jobs where state = 'available') as woken
    where exists (select from queue.waiters s where s.queue = woken.queue)
        or current_setting('transaction_isolation') <> 'read committed';
    return null;
end
$$;

CREATE FUNCTION queue.log_updated_jobs() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    insert into queue.lane_log (queue, requeued, tenants, backfills, priorities, states, changes, lowest)
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
    select queue, true, array_agg(tenant_id), array_agg(backfill_id), array_agg(priority), array_agg(state),
        array_agg(change), array_agg(lowest)
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

COMMENT ON FUNCTION queue.now() IS 'The engine''s only clock';

CREATE TABLE queue.history (
    only_row boolean DEFAULT true NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    system_identifier bigint NOT NULL,
    timeline integer NOT NULL,
    table_oid oid NOT NULL,
    server_started timestamp with time zone NOT NULL,
    since timestamp with time zone DEFAULT queue.now() NOT NULL,
    CONSTRAINT history_only_row_check CHECK (only_row)
);

COMMENT ON TABLE queue.history IS 'One row: which history of which server the transaction ids in this schema belong to. Another server, or one that lost what it had committed, begins a new history';

COMMENT ON COLUMN queue.history.only_row IS 'Always true, so that there is one row';

COMMENT ON COLUMN queue.history.id IS 'The history; a new one for each restore, move or promotion';

COMMENT ON COLUMN queue.history.system_identifier IS 'Of the server''s data, as initdb gave it';

COMMENT ON COLUMN queue.history.timeline IS 'Of its WAL: a promotion begins a new one';

COMMENT ON COLUMN queue.history.table_oid IS 'Of this table: a dump that is restored makes it anew';

COMMENT ON COLUMN queue.history.server_started IS 'When the server process began that all of this was compared with last';

COMMENT ON COLUMN queue.history.since IS 'When the history began';

CREATE FUNCTION queue.recorded_history() RETURNS uuid
    LANGUAGE sql STABLE
    RETURN (SELECT history.id FROM queue.history);

COMMENT ON FUNCTION queue.recorded_history() IS 'The history that was recorded last, whether it is this server''s or not';

CREATE FUNCTION queue.remove_final_hook(hook regproc) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    execute format('drop trigger %I on queue.jobs', 'final_hook ' || hook);
end
$$;

COMMENT ON FUNCTION queue.remove_final_hook(hook regproc) IS 'Takes a hook away that queue.add_final_hook added';

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
            message = format(
                'worker %s is not one of this database''s history: what it ran belongs to one that was lost', lost);
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

CREATE FUNCTION queue.sublane_key(queue text, tenant_id uuid, backfill_id uuid) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN hashtextextended(queue, uuid_hash_extended(tenant_id, COALESCE(uuid_hash_extended(backfill_id, (0)::bigint), (0)::bigint)));

COMMENT ON FUNCTION queue.sublane_key(queue text, tenant_id uuid, backfill_id uuid) IS 'Stands for the live work of a tenant in a queue, or for its part of a backfill, in an index. Two sub-lanes may have the same key: whoever searches by it compares the rest';

CREATE FUNCTION queue.timeline() RETURNS integer
    LANGUAGE sql STABLE
    RETURN ((('x'::text || "left"(pg_walfile_name(pg_current_wal_lsn()), 8)))::bit(32))::integer;

COMMENT ON FUNCTION queue.timeline() IS 'The timeline that the server writes; an error while it recovers';

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

COMMENT ON TABLE queue.backfills IS 'Ranges of slices that become jobs in the background; their jobs have sub-lanes of their own';

COMMENT ON COLUMN queue.backfills.id IS 'UUIDv7';

COMMENT ON COLUMN queue.backfills.paused IS 'Whether none of its jobs starts';

COMMENT ON COLUMN queue.backfills.share IS 'The part of the capacity that it may take while live work waits, above 0 to 1';

COMMENT ON COLUMN queue.backfills.max_running IS 'Most of its jobs at once in a queue; null for any number';

COMMENT ON COLUMN queue.backfills.finished_at IS 'When its last job became final, or it was cancelled';

COMMENT ON COLUMN queue.backfills.kind IS 'The kind of its slices; null for a backfill whose jobs come from elsewhere, which is never expanded';

COMMENT ON COLUMN queue.backfills.spec IS 'What was asked for, for people';

COMMENT ON COLUMN queue.backfills.plan IS 'What the application makes its slices from';

COMMENT ON COLUMN queue.backfills.queues IS 'Queues that its jobs wait in';

COMMENT ON COLUMN queue.backfills.priority IS 'Of its jobs; higher first, -100 to 100';

COMMENT ON COLUMN queue.backfills.traceparent IS 'W3C trace context of the request that made it';

COMMENT ON COLUMN queue.backfills.total IS 'Number of slices';

COMMENT ON COLUMN queue.backfills.next_slice IS 'Slices before this one were expanded, except those that are put off: each became jobs or was skipped';

COMMENT ON COLUMN queue.backfills.skipped IS 'Slices that became no job: there was nothing to do, or a live job did it already';

COMMENT ON COLUMN queue.backfills.jobs IS 'Jobs that were enqueued; a slice may be several';

COMMENT ON COLUMN queue.backfills.counts IS 'Its jobs by state when it finished; null before';

COMMENT ON COLUMN queue.backfills.samples IS 'Numbers of finished slices at times of the last minutes, for the rate: [{"at", "done"}]';

COMMENT ON COLUMN queue.backfills.retry_requested_at IS 'Jobs that were discarded before this time are retried; null when that is done';

COMMENT ON COLUMN queue.backfills.retried_to IS 'Retrying has come to this seq';

COMMENT ON COLUMN queue.backfills.created_at IS 'When it was made';

COMMENT ON COLUMN queue.backfills.cancelled_at IS 'When it was cancelled';

COMMENT ON COLUMN queue.backfills.put_off IS 'Slices before next_slice that were not expanded, as their tenants have enough jobs waiting';

COMMENT ON COLUMN queue.backfills.reached IS 'The same as next_slice while slices are put off, so that no statement moves such a backfill on, or ends it, that does not know of them';

CREATE TABLE queue.backfills_behind (
    backfill_id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    next_slice bigint NOT NULL
);

COMMENT ON TABLE queue.backfills_behind IS 'Tenants that a backfill went on without, as enough of their jobs wait';

COMMENT ON COLUMN queue.backfills_behind.backfill_id IS 'The backfill';

COMMENT ON COLUMN queue.backfills_behind.tenant_id IS 'The tenant';

COMMENT ON COLUMN queue.backfills_behind.next_slice IS 'Slices of the tenant before this one were expanded; those from here to the backfill''s next_slice are put off';

CREATE TABLE queue.claims (
    worker_id uuid NOT NULL,
    queue text NOT NULL,
    claim_seq bigint NOT NULL,
    jobs bigint[] NOT NULL,
    runs bigint[] NOT NULL,
    at timestamp with time zone DEFAULT queue.now() NOT NULL
)
WITH (toast_tuple_target='8160');

COMMENT ON TABLE queue.claims IS 'The jobs that each worker has claimed and not finished all of: where the jobs of a dead worker are found';

COMMENT ON COLUMN queue.claims.worker_id IS 'The worker that claimed';

COMMENT ON COLUMN queue.claims.queue IS 'The queue';

COMMENT ON COLUMN queue.claims.claim_seq IS 'The claim''s sequence number in its queue';

COMMENT ON COLUMN queue.claims.jobs IS 'The seq of each job that was claimed';

COMMENT ON COLUMN queue.claims.runs IS 'The run token of each job''s run that began';

COMMENT ON COLUMN queue.claims.at IS 'When the jobs were claimed';

CREATE TABLE queue.failure_hours (
    failure_id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    seen bigint NOT NULL
)
WITH (fillfactor='70');

COMMENT ON TABLE queue.failure_hours IS 'How often a failure was seen, by hour';

COMMENT ON COLUMN queue.failure_hours.failure_id IS 'The failure';

COMMENT ON COLUMN queue.failure_hours.at IS 'When the hour begins';

COMMENT ON COLUMN queue.failure_hours.seen IS 'How many attempts failed so in that hour';

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

COMMENT ON TABLE queue.failures IS 'Failures, grouped by kind of job, code, and message without what differs';

COMMENT ON COLUMN queue.failures.id IS 'A hash of kind, code and pattern: queue.failure_id';

COMMENT ON COLUMN queue.failures.kind IS 'The kind of job';

COMMENT ON COLUMN queue.failures.code IS 'The stable code of the failure';

COMMENT ON COLUMN queue.failures.pattern IS 'The first line of the message, with … for what is quoted and # for words with digits';

COMMENT ON COLUMN queue.failures.first_seen IS 'When it was first met';

COMMENT ON COLUMN queue.failures.last_seen IS 'When it was last met, to a few seconds';

COMMENT ON COLUMN queue.failures.seen IS 'How many attempts failed so, as the workers reported';

CREATE VIEW queue.in_flight AS
 SELECT c.worker_id,
    c.queue,
    c.claim_seq,
    c.at,
    t.seq,
    t.run
   FROM (queue.claims c
     CROSS JOIN LATERAL UNNEST(c.jobs, c.runs) t(seq, run));

COMMENT ON VIEW queue.in_flight IS 'Claims, job by job. A job that is available, and whose run precedes the claim''s by one, is running and its row does not say so yet';

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

COMMENT ON TABLE queue.job_dependencies IS 'Edges of workflows: a child waits until its parents are final';

COMMENT ON COLUMN queue.job_dependencies.tenant_id IS 'Whose jobs they are';

COMMENT ON COLUMN queue.job_dependencies.child_id IS 'The job that waits';

COMMENT ON COLUMN queue.job_dependencies.parent_id IS 'The job it waits on';

COMMENT ON COLUMN queue.job_dependencies.on_failure IS 'What a discarded or cancelled parent does to the child: cancel it, or let it continue';

COMMENT ON COLUMN queue.job_dependencies.outcome IS 'The outcome that was propagated last: the parent is pending, or has passed (completed, or failed where the child goes on), or failed';

ALTER TABLE queue.jobs ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME queue.jobs_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE queue.lane_log (
    queue text NOT NULL,
    txid bigint DEFAULT ((pg_current_xact_id())::text)::bigint NOT NULL,
    at timestamp with time zone DEFAULT queue.now() NOT NULL,
    claim_seq bigint,
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
    requeued boolean DEFAULT false NOT NULL,
    of_claim_seq bigint,
    snapshot_xmax bigint,
    snapshot_xip bigint[]
)
WITH (toast_tuple_target='8160');

ALTER TABLE ONLY queue.lane_log REPLICA IDENTITY FULL;

COMMENT ON TABLE queue.lane_log IS 'What changed in the lanes of a queue: claims and changes of settings, which are numbered, and changes of job counts';

COMMENT ON COLUMN queue.lane_log.queue IS 'The queue';

COMMENT ON COLUMN queue.lane_log.txid IS 'The transaction that wrote it';

COMMENT ON COLUMN queue.lane_log.at IS 'When the row was written';

COMMENT ON COLUMN queue.lane_log.claim_seq IS 'The number of the claim or change of settings in its queue; null for changes of counts';

COMMENT ON COLUMN queue.lane_log.worker_id IS 'The worker that claimed; null where settings changed';

COMMENT ON COLUMN queue.lane_log.virtual_times IS 'Virtual times of the queue after a claim: of live work, and of backfills';

COMMENT ON COLUMN queue.lane_log.queue_tat IS 'Theoretical arrival time of the whole queue after a claim; null without a rate';

COMMENT ON COLUMN queue.lane_log.tenants IS 'Element i of each array belongs to one lane; this array holds the tenants';

COMMENT ON COLUMN queue.lane_log.backfills IS 'The backfill that the jobs belong to; null for live work';

COMMENT ON COLUMN queue.lane_log.priorities IS 'Counts: priority of the jobs';

COMMENT ON COLUMN queue.lane_log.states IS 'Counts: state of the jobs';

COMMENT ON COLUMN queue.lane_log.changes IS 'Counts: by how much the number of these jobs changed';

COMMENT ON COLUMN queue.lane_log.lowest IS 'Counts: the lowest seq that came into the state';

COMMENT ON COLUMN queue.lane_log.tags IS 'Claims: the finish tag of the sub-lane, in virtual time (start-time fair queueing)';

COMMENT ON COLUMN queue.lane_log.tats IS 'Claims: the theoretical arrival time of the lane (GCRA); null without a rate';

COMMENT ON COLUMN queue.lane_log.requeued IS 'Counts: an update changed jobs that were there before; each job that became available has an element of its own, with its seq as lowest';

COMMENT ON COLUMN queue.lane_log.of_claim_seq IS 'Counts of a claim: the claim''s number; the lowest of running jobs is then the seq after the last that was claimed';

COMMENT ON COLUMN queue.lane_log.snapshot_xmax IS 'Counts of a claim: the xmax of the snapshot that the claim was decided on; null in rows that a former version wrote';

COMMENT ON COLUMN queue.lane_log.snapshot_xip IS 'Counts of a claim: the transactions below snapshot_xmax that were in progress in that snapshot';

CREATE TABLE queue.lanes (
    tenant_id uuid NOT NULL,
    queue text NOT NULL,
    paused boolean DEFAULT false NOT NULL,
    limits jsonb
);

COMMENT ON TABLE queue.lanes IS 'Settings of lanes; a lane without a row has those of its queue';

COMMENT ON COLUMN queue.lanes.tenant_id IS 'Whose lane it is';

COMMENT ON COLUMN queue.lanes.queue IS 'The queue';

COMMENT ON COLUMN queue.lanes.paused IS 'Whether none of its jobs starts';

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

COMMENT ON TABLE queue.leader IS 'Which process does what only one may do; one row, locked by every act of the leader';

COMMENT ON COLUMN queue.leader.term IS 'Grows with each change of hands; an act under an older term changes nothing. The key, so that acts (for key share) hold up a change of hands but not a renewal';

COMMENT ON COLUMN queue.leader.only_row IS 'Always true, so that there is one row';

COMMENT ON COLUMN queue.leader.holder IS 'The process that leads, or led last; null when it stepped down';

COMMENT ON COLUMN queue.leader.host IS 'Name of its machine, for people';

COMMENT ON COLUMN queue.leader.pid IS 'Its process id on that machine, for people';

COMMENT ON COLUMN queue.leader.lease_until IS 'Until when it leads unless it renews';

CREATE TABLE queue.private_args (
    seq bigint NOT NULL,
    sealed bytea NOT NULL
);

COMMENT ON TABLE queue.private_args IS 'The private arguments of jobs that may still run: of those that are not final, and of dead letters, so that they can be retried';

COMMENT ON COLUMN queue.private_args.seq IS 'The job, by its seq';

COMMENT ON COLUMN queue.private_args.sealed IS 'The value as JSON, encrypted by the application''s key for the place "queue.private_args/<id of the job>"';

CREATE TABLE queue.queues (
    name text NOT NULL,
    paused boolean DEFAULT false NOT NULL,
    limits jsonb DEFAULT '{}'::jsonb NOT NULL,
    lane_limits jsonb DEFAULT '{}'::jsonb NOT NULL
);

COMMENT ON TABLE queue.queues IS 'Settings of queues; a queue without a row has none';

COMMENT ON COLUMN queue.queues.name IS 'Name of the queue';

COMMENT ON COLUMN queue.queues.paused IS 'Whether none of its jobs starts';

COMMENT ON COLUMN queue.queues.limits IS 'Of all its lanes together: {"rate", "period_ms", "burst", "max_running"}, each may be missing';

COMMENT ON COLUMN queue.queues.lane_limits IS 'Of each lane that has no limits of its own: as limits, and "weight"';

CREATE TABLE queue.rollups (
    bucket_s integer NOT NULL,
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
    CONSTRAINT rollups_bucket_s_check CHECK ((bucket_s = ANY (ARRAY[60, 900, 3600])))
)
WITH (fillfactor='50');

COMMENT ON TABLE queue.rollups IS 'How runs ended, as the workers reported: rolled up by bucket of time, queue and kind';

COMMENT ON COLUMN queue.rollups.bucket_s IS 'Length of the bucket in seconds: a minute, a quarter of an hour, an hour';

COMMENT ON COLUMN queue.rollups.at IS 'When the bucket begins';

COMMENT ON COLUMN queue.rollups.queue IS 'The queue';

COMMENT ON COLUMN queue.rollups.kind IS 'The kind of job';

COMMENT ON COLUMN queue.rollups.completed IS 'Runs that completed their job';

COMMENT ON COLUMN queue.rollups.retried IS 'Runs that failed and are tried again';

COMMENT ON COLUMN queue.rollups.discarded IS 'Runs that failed for good';

COMMENT ON COLUMN queue.rollups.cancelled IS 'Runs that were stopped by a cancel';

COMMENT ON COLUMN queue.rollups.snoozed IS 'Runs that snoozed';

COMMENT ON COLUMN queue.rollups.waits IS 'Histogram of how long jobs were due before they were claimed, without those of backfills: up to 1 ms, 2.5, 5, 10, 25, 50, 100, 250, 500 ms, 1 s, 2.5, 10, 30 s, 1 min, 5, 15 min, 1 h, and longer';

COMMENT ON COLUMN queue.rollups.runs IS 'Histogram of how long runs took, with the same limits';

CREATE TABLE queue.schedule_ticks (
    tenant_id uuid NOT NULL,
    schedule text NOT NULL,
    tick timestamp with time zone NOT NULL,
    fired boolean NOT NULL,
    job_id uuid,
    decided_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE queue.schedule_ticks IS 'Ticks that were decided; committed with what they enqueued, so that each fires once';

COMMENT ON COLUMN queue.schedule_ticks.tenant_id IS 'The tenant that the tick is for; the nil UUID for a schedule that is not per tenant';

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

COMMENT ON TABLE queue.schedules IS 'Settings of the schedules that the program has: its defaults at first, then what operators set';

COMMENT ON COLUMN queue.schedules.name IS 'Permanent name';

COMMENT ON COLUMN queue.schedules.cron IS 'Second, minute, hour, day of month, month, day of week';

COMMENT ON COLUMN queue.schedules.time_zone IS 'IANA time zone that the expression is read in; null for each tenant''s own';

COMMENT ON COLUMN queue.schedules.enabled IS 'False while it is paused';

COMMENT ON COLUMN queue.schedules.missed IS 'What happens to ticks that are over a minute late: skip, one (the newest) or all';

COMMENT ON COLUMN queue.schedules.missed_limit IS 'With all: at most so many, the newest';

COMMENT ON COLUMN queue.schedules.since IS 'When the schedule was enabled or its times were changed; earlier ticks are not fired';

COMMENT ON COLUMN queue.schedules.upkeep_at IS 'When the maintenance that the schedule stands for was last done, kept to the minute; null for schedules that enqueue';

COMMENT ON COLUMN queue.schedules.updated_at IS 'When its settings were last changed';

CREATE TABLE queue.unresolved (
    id bigint NOT NULL,
    job_id uuid NOT NULL,
    after_child uuid NOT NULL
);

COMMENT ON TABLE queue.unresolved IS 'Jobs that ended or were retried, and whose outcome is not yet propagated to all of their children';

COMMENT ON COLUMN queue.unresolved.id IS 'Order in which outcomes are propagated';

COMMENT ON COLUMN queue.unresolved.job_id IS 'The job whose outcome is propagated';

COMMENT ON COLUMN queue.unresolved.after_child IS 'The outcome is propagated to children up to this id';

ALTER TABLE queue.unresolved ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME queue.unresolved_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE queue.view_checkpoints (
    queue text NOT NULL,
    at timestamp with time zone NOT NULL,
    oldest_txid bigint NOT NULL,
    claim_seq bigint NOT NULL,
    view jsonb NOT NULL,
    history uuid DEFAULT queue.recorded_history()
);

COMMENT ON TABLE queue.view_checkpoints IS 'The view of a queue, written down now and then, from which a worker that starts reads the log on';

COMMENT ON COLUMN queue.view_checkpoints.queue IS 'The queue';

COMMENT ON COLUMN queue.view_checkpoints.at IS 'When the view was written down';

COMMENT ON COLUMN queue.view_checkpoints.oldest_txid IS 'Every transaction below this id is in the view';

COMMENT ON COLUMN queue.view_checkpoints.claim_seq IS 'The last claim sequence number that is in the view';

COMMENT ON COLUMN queue.view_checkpoints.view IS 'Counts, finish tags and arrival times of the lanes, and the snapshot that they are of';

COMMENT ON COLUMN queue.view_checkpoints.history IS 'The history that the transaction ids belong to';

CREATE TABLE queue.waiters (
    queue text NOT NULL,
    worker_id uuid NOT NULL
);

COMMENT ON TABLE queue.waiters IS 'Workers that find no job in a queue, and refresh their view when a notification tells of one';

COMMENT ON COLUMN queue.waiters.queue IS 'The queue';

COMMENT ON COLUMN queue.waiters.worker_id IS 'The worker';

CREATE TABLE queue.workers (
    id uuid NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    version text NOT NULL,
    queues text[] NOT NULL,
    started_at timestamp with time zone NOT NULL,
    heartbeat_at timestamp with time zone NOT NULL,
    lease_until timestamp with time zone NOT NULL,
    capacity integer DEFAULT 0 NOT NULL,
    drain_requested_at timestamp with time zone,
    history uuid DEFAULT queue.recorded_history(),
    queue_capacity jsonb DEFAULT '{}'::jsonb NOT NULL
);

COMMENT ON TABLE queue.workers IS 'Worker processes that hold a lease, or held one until lately';

COMMENT ON COLUMN queue.workers.id IS 'Id of this registration; a process that lost its lease gets a new one';

COMMENT ON COLUMN queue.workers.host IS 'Name of the machine';

COMMENT ON COLUMN queue.workers.pid IS 'Process id on that machine';

COMMENT ON COLUMN queue.workers.version IS 'Version of the program';

COMMENT ON COLUMN queue.workers.queues IS 'Queues it claims from';

COMMENT ON COLUMN queue.workers.started_at IS 'When it registered';

COMMENT ON COLUMN queue.workers.heartbeat_at IS 'The last heartbeat';

COMMENT ON COLUMN queue.workers.lease_until IS 'Until when its running jobs are its own; after that they are rescued';

COMMENT ON COLUMN queue.workers.capacity IS 'Jobs that the worker runs at once in each queue that queue_capacity does not name';

COMMENT ON COLUMN queue.workers.drain_requested_at IS 'Since when it claims nothing more: it ends with its last running job';

COMMENT ON COLUMN queue.workers.history IS 'The history in which the worker registered; in another one it claims nothing, ends what it runs and registers anew';

COMMENT ON COLUMN queue.workers.queue_capacity IS 'Jobs that the worker runs at once in the queues that have a number of their own, by their names';

CREATE TABLE queue.workflows (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    name text,
    subject text,
    created_at timestamp with time zone DEFAULT queue.now() NOT NULL
);

COMMENT ON TABLE queue.workflows IS 'Names of workflows; their jobs refer to them by workflow_id';

COMMENT ON COLUMN queue.workflows.id IS 'The workflow; of version 7, so that ids have the order of time';

COMMENT ON COLUMN queue.workflows.tenant_id IS 'The tenant of its first job';

COMMENT ON COLUMN queue.workflows.name IS 'What the application calls workflows of its kind; null where it gave none';

COMMENT ON COLUMN queue.workflows.subject IS 'What the workflow is about, as its jobs; null where the application said nothing';

COMMENT ON COLUMN queue.workflows.created_at IS 'When it was enqueued';

ALTER TABLE ONLY queue.backfills_behind
    ADD CONSTRAINT backfills_behind_pkey PRIMARY KEY (backfill_id, tenant_id);

ALTER TABLE ONLY queue.backfills
    ADD CONSTRAINT backfills_pkey PRIMARY KEY (id);

ALTER TABLE ONLY queue.claims
    ADD CONSTRAINT claims_pkey PRIMARY KEY (worker_id, queue, claim_seq);

ALTER TABLE ONLY queue.failure_hours
    ADD CONSTRAINT failure_hours_pkey PRIMARY KEY (failure_id, at);

ALTER TABLE ONLY queue.failures
    ADD CONSTRAINT failures_pkey PRIMARY KEY (id);

ALTER TABLE ONLY queue.history
    ADD CONSTRAINT history_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY queue.job_dependencies
    ADD CONSTRAINT job_dependencies_pkey PRIMARY KEY (child_id, parent_id);

ALTER TABLE ONLY queue.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (id);

ALTER TABLE queue.lane_log
    ADD CONSTRAINT lane_log_claims_have_snapshot CHECK (((of_claim_seq IS NULL) OR ((snapshot_xmax IS NOT NULL) AND (snapshot_xip IS NOT NULL)))) NOT VALID;

ALTER TABLE ONLY queue.lanes
    ADD CONSTRAINT lanes_pkey PRIMARY KEY (tenant_id, queue);

ALTER TABLE ONLY queue.leader
    ADD CONSTRAINT leader_only_row_key UNIQUE (only_row);

ALTER TABLE ONLY queue.leader
    ADD CONSTRAINT leader_pkey PRIMARY KEY (term);

ALTER TABLE ONLY queue.private_args
    ADD CONSTRAINT private_args_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY queue.queues
    ADD CONSTRAINT queues_pkey PRIMARY KEY (name);

ALTER TABLE ONLY queue.rollups
    ADD CONSTRAINT rollups_pkey PRIMARY KEY (bucket_s, at, queue, kind);

ALTER TABLE ONLY queue.schedule_ticks
    ADD CONSTRAINT schedule_ticks_pkey PRIMARY KEY (tenant_id, schedule, tick);

ALTER TABLE ONLY queue.schedules
    ADD CONSTRAINT schedules_pkey PRIMARY KEY (name);

ALTER TABLE ONLY queue.unresolved
    ADD CONSTRAINT unresolved_pkey PRIMARY KEY (id);

ALTER TABLE ONLY queue.view_checkpoints
    ADD CONSTRAINT view_checkpoints_pkey PRIMARY KEY (queue, at);

ALTER TABLE ONLY queue.waiters
    ADD CONSTRAINT waiters_pkey PRIMARY KEY (queue, worker_id);

ALTER TABLE ONLY queue.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY queue.workflows
    ADD CONSTRAINT workflows_pkey PRIMARY KEY (id);

CREATE INDEX backfills_unfinished ON queue.backfills USING btree (id) WHERE (finished_at IS NULL);

CREATE INDEX claims_claim_seq ON queue.claims USING btree (queue, claim_seq);

CREATE INDEX failures_last_seen ON queue.failures USING btree (last_seen, id);

CREATE INDEX job_dependencies_parent ON queue.job_dependencies USING btree (parent_id, child_id);

CREATE INDEX jobs_backfill ON queue.jobs USING btree (backfill_id, seq) WHERE (backfill_id IS NOT NULL);

CREATE INDEX jobs_backfill_failed ON queue.jobs USING btree (backfill_id, seq) WHERE ((backfill_id IS NOT NULL) AND (cold_state = 'discarded'::queue.job_state));

CREATE INDEX jobs_backfill_live ON queue.jobs USING btree (live_backfill_id, seq) WHERE (live_backfill_id IS NOT NULL);

CREATE INDEX jobs_cold ON queue.jobs USING btree (cold_state, seq) WHERE (cold_state IS NOT NULL);

CREATE INDEX jobs_due ON queue.jobs USING btree (scheduled_at) WHERE (cold_state = ANY (ARRAY['scheduled'::queue.job_state, 'retryable'::queue.job_state]));

CREATE INDEX jobs_failed_subject ON queue.jobs USING btree (kind, tenant_id, subject) WHERE (cold_state = ANY (ARRAY['discarded'::queue.job_state, 'cancelled'::queue.job_state]));

CREATE INDEX jobs_failing_subject ON queue.jobs USING btree (tenant_id, subject, seq) WHERE (cold_state = ANY (ARRAY['retryable'::queue.job_state, 'cancelled'::queue.job_state, 'discarded'::queue.job_state]));

CREATE INDEX jobs_failure ON queue.jobs USING btree (failure_id, seq) INCLUDE (cold_state) WHERE ((failure_id IS NOT NULL) AND (cold_state = ANY (ARRAY['retryable'::queue.job_state, 'discarded'::queue.job_state])));

CREATE UNIQUE INDEX jobs_seq ON queue.jobs USING btree (seq);

CREATE INDEX jobs_sublane ON queue.jobs USING btree (queue.sublane_key(queue, tenant_id, backfill_id), priority, seq);

CREATE INDEX jobs_tenant ON queue.jobs USING btree (tenant_id, seq);

CREATE INDEX jobs_tenant_cold ON queue.jobs USING btree (tenant_id, seq) WHERE (cold_state IS NOT NULL);

CREATE UNIQUE INDEX jobs_unique ON queue.jobs USING btree (live_key) WHERE (live_key IS NOT NULL);

CREATE INDEX jobs_workflow ON queue.jobs USING btree (workflow_id, seq) WHERE (workflow_id IS NOT NULL);

CREATE UNIQUE INDEX lane_log_claim_seq ON queue.lane_log USING btree (queue, claim_seq) WHERE (claim_seq IS NOT NULL);

CREATE INDEX lane_log_new ON queue.lane_log USING btree (queue, txid);

CREATE INDEX lanes_paused ON queue.lanes USING btree (tenant_id) WHERE paused;

CREATE INDEX schedule_ticks_newest ON queue.schedule_ticks USING btree (schedule, tick);

CREATE INDEX waiters_worker ON queue.waiters USING btree (worker_id);

CREATE INDEX workers_lease ON queue.workers USING btree (lease_until);

CREATE INDEX workflows_subject ON queue.workflows USING btree (subject, id) WHERE (subject IS NOT NULL);

CREATE INDEX workflows_tenant ON queue.workflows USING btree (tenant_id, id);

CREATE INDEX workflows_tenant_subject ON queue.workflows USING btree (tenant_id, subject, id) WHERE (subject IS NOT NULL);

CREATE TRIGGER delete_private_args_of_deleted AFTER DELETE ON queue.jobs FOR EACH ROW WHEN (old.has_private) EXECUTE FUNCTION queue.delete_private_args();

CREATE TRIGGER delete_private_args_of_ended AFTER UPDATE OF state ON queue.jobs FOR EACH ROW WHEN ((new.has_private AND (new.state = ANY (ARRAY['completed'::queue.job_state, 'cancelled'::queue.job_state])))) EXECUTE FUNCTION queue.delete_private_args();

CREATE TRIGGER log_deleted AFTER DELETE ON queue.jobs REFERENCING OLD TABLE AS old_jobs FOR EACH STATEMENT EXECUTE FUNCTION queue.log_deleted_jobs();

CREATE TRIGGER log_inserted AFTER INSERT ON queue.jobs REFERENCING NEW TABLE AS new_jobs FOR EACH STATEMENT EXECUTE FUNCTION queue.log_inserted_jobs();

CREATE TRIGGER log_updated AFTER UPDATE ON queue.jobs REFERENCING OLD TABLE AS old_jobs NEW TABLE AS new_jobs FOR EACH STATEMENT EXECUTE FUNCTION queue.log_updated_jobs();

ALTER TABLE ONLY queue.backfills_behind
    ADD CONSTRAINT backfills_behind_backfill_id_fkey FOREIGN KEY (backfill_id) REFERENCES queue.backfills(id) ON DELETE CASCADE;

ALTER TABLE ONLY queue.failure_hours
    ADD CONSTRAINT failure_hours_failure_id_fkey FOREIGN KEY (failure_id) REFERENCES queue.failures(id) ON DELETE CASCADE;

ALTER TABLE ONLY queue.job_dependencies
    ADD CONSTRAINT job_dependencies_child_id_fkey FOREIGN KEY (child_id) REFERENCES queue.jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY queue.job_dependencies
    ADD CONSTRAINT job_dependencies_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES queue.jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY queue.waiters
    ADD CONSTRAINT waiters_worker_id_fkey FOREIGN KEY (worker_id) REFERENCES queue.workers(id) ON DELETE CASCADE;

ALTER TABLE queue.backfills_behind ENABLE ROW LEVEL SECURITY;

ALTER TABLE queue.job_dependencies ENABLE ROW LEVEL SECURITY;

ALTER TABLE queue.jobs ENABLE ROW LEVEL SECURITY;

ALTER TABLE queue.lanes ENABLE ROW LEVEL SECURITY;

ALTER TABLE queue.private_args ENABLE ROW LEVEL SECURITY;

ALTER TABLE queue.schedule_ticks ENABLE ROW LEVEL SECURITY;

CREATE POLICY super_reads ON queue.job_dependencies FOR SELECT TO weirgate_super USING (true);

CREATE POLICY super_reads ON queue.jobs FOR SELECT TO weirgate_super USING (true);

CREATE POLICY super_reads ON queue.lanes FOR SELECT TO weirgate_super USING (true);

CREATE POLICY tenant_reads ON queue.job_dependencies FOR SELECT TO weirgate_tenant USING ((tenant_id = (NULLIF(current_setting('weirgate.tenant'::text, true), ''::text))::uuid));

CREATE POLICY tenant_reads ON queue.jobs FOR SELECT TO weirgate_tenant USING ((tenant_id = (NULLIF(current_setting('weirgate.tenant'::text, true), ''::text))::uuid));

CREATE POLICY tenant_reads ON queue.lanes FOR SELECT TO weirgate_tenant USING ((tenant_id = (NULLIF(current_setting('weirgate.tenant'::text, true), ''::text))::uuid));

CREATE POLICY tenant_reads ON queue.schedule_ticks FOR SELECT TO weirgate_tenant USING ((tenant_id = (NULLIF(current_setting('weirgate.tenant'::text, true), ''::text))::uuid));

ALTER TABLE queue.workflows ENABLE ROW LEVEL SECURITY;

GRANT USAGE ON SCHEMA queue TO weirgate_tenant;
GRANT USAGE ON SCHEMA queue TO weirgate_desk;
GRANT USAGE ON SCHEMA queue TO weirgate_super;

GRANT SELECT ON TABLE queue.jobs TO weirgate_tenant;
GRANT SELECT ON TABLE queue.jobs TO weirgate_super;

GRANT SELECT(jobs) ON TABLE queue.claims TO weirgate_tenant;
GRANT SELECT(jobs) ON TABLE queue.claims TO weirgate_super;

GRANT SELECT ON TABLE queue.job_dependencies TO weirgate_tenant;
GRANT SELECT ON TABLE queue.job_dependencies TO weirgate_super;

GRANT SELECT ON TABLE queue.lanes TO weirgate_tenant;
GRANT SELECT ON TABLE queue.lanes TO weirgate_super;

GRANT SELECT(id) ON TABLE queue.workers TO weirgate_tenant;
GRANT SELECT(id) ON TABLE queue.workers TO weirgate_super;

GRANT SELECT(queues) ON TABLE queue.workers TO weirgate_tenant;
GRANT SELECT(queues) ON TABLE queue.workers TO weirgate_super;

GRANT SELECT(lease_until) ON TABLE queue.workers TO weirgate_tenant;
GRANT SELECT(lease_until) ON TABLE queue.workers TO weirgate_super;

GRANT SELECT(drain_requested_at) ON TABLE queue.workers TO weirgate_tenant;
GRANT SELECT(drain_requested_at) ON TABLE queue.workers TO weirgate_super;

