-- A database is restored, moved to another server, promoted from a standby. The transaction ids of
-- the server that it continues on are then not those that were written down, and the newest of what
-- workers remember may never have been replicated. The row of queue.history names the server that
-- the written ids belong to.

create function queue.timeline() returns integer
language sql stable
return ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer;

comment on function queue.timeline() is
    'The timeline that the server writes; an error while it recovers';

create table queue.history (
    only_row          boolean primary key default true check (only_row),
    id                uuid not null default gen_random_uuid(),
    system_identifier bigint not null,
    timeline          integer not null,
    table_oid         oid not null,
    server_started    timestamptz not null,
    since             timestamptz not null default queue.now()
);

comment on table queue.history is
    'One row: which history of which server the transaction ids in this schema belong to. Another '
    'server, or one that lost what it had committed, begins a new history';
comment on column queue.history.only_row is 'Always true, so that there is one row';
comment on column queue.history.id is 'The history; a new one for each restore, move or promotion';
comment on column queue.history.system_identifier is 'Of the server''s data, as initdb gave it';
comment on column queue.history.timeline is 'Of its WAL: a promotion begins a new one';
comment on column queue.history.table_oid is 'Of this table: a dump that is restored makes it anew';
comment on column queue.history.server_started is
    'When the server process began that all of this was compared with last';
comment on column queue.history.since is 'When the history began';

insert into queue.history (system_identifier, timeline, table_oid, server_started)
select system_identifier, queue.timeline(), 'queue.history'::regclass, pg_postmaster_start_time()
from pg_control_system();

create function queue.recorded_history() returns uuid
language sql stable
return (select id from queue.history);

comment on function queue.recorded_history() is
    'The history that was recorded last, whether it is this server''s or not';

-- Compared by the start of the server process alone, which costs next to nothing: a server that has
-- another system identifier or timeline, or whose disk was set back, is another process, too.
create function queue.history_id() returns uuid
language plpgsql stable
as $$
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

comment on function queue.history_id() is
    'The history of this server; raises WG001 until somebody has compared, after each start of a '
    'server';

-- Logical replication does not carry sequences along: without this, the next job would get a number
-- that is taken.
create function queue.advance_sequences() returns integer
language plpgsql
as $$
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

comment on function queue.advance_sequences() is
    'Sets sequences that are behind the rows of their tables past them; returns how many were';
