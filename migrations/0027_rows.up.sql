-- Rows as their source has them now: what it says of closing, what it has no longer, and which of two readings is the newer one.

-- The one rule for tickets that are closed: KPIs, lists, summaries and exports all read raw_tickets.closed_at, which is made by it.
create function ticket_closed_at(
    status text, closed_flag boolean, closed_at_remote timestamptz, updated_at_remote timestamptz
) returns timestamptz language sql immutable parallel safe as $$
    select case when coalesce(closed_flag, lower(btrim(status)) in ('closed', 'resolved', 'completed'))
        then coalesce(closed_at_remote, updated_at_remote) end
$$;

comment on function ticket_closed_at is 'When a ticket counts as closed: the source''s flag decides, or else its status, in any case of letters; null while open';

create function set_ticket_closed_at() returns trigger language plpgsql as $$
begin
    new.closed_at := public.ticket_closed_at(new.status, new.closed_flag, new.closed_at_remote, new.updated_at_remote);
    return new;
end
$$;

comment on function set_ticket_closed_at is 'Keeps raw_tickets.closed_at by the rule, whoever writes the ticket';

-- Of two readings of a row the one that the source changed later is the newer; where the source does not say, or the row had been
-- deleted, the reading that began later is.
create function is_newer_row(
    stored_updated timestamptz, stored_read timestamptz, stored_deleted timestamptz, updated timestamptz, read timestamptz
) returns boolean language sql immutable parallel safe as $$
    select case when stored_deleted is null and stored_updated is not null and updated is not null
        then (updated, read) >= (stored_updated, coalesce(stored_read, '-infinity'))
        else read >= coalesce(stored_read, '-infinity') end
$$;

comment on function is_newer_row is 'Whether a reading of a row takes the place of the stored one';

-- In the order in which KPIs read them, so that neither waits for the other in a circle.
lock table raw_time_entries, raw_tickets, raw_csat_surveys, raw_security_alerts in access exclusive mode;

alter table raw_tickets
    add column closed_flag boolean,
    add column read_at     timestamptz,
    add column deleted_at  timestamptz,
    -- Its values stay; a generated column's rule could only be changed by writing the whole table anew.
    alter column closed_at drop expression;

create trigger set_closed_at
    before insert or update of status, closed_flag, closed_at_remote, updated_at_remote, closed_at on raw_tickets
    for each row execute function set_ticket_closed_at();

alter table raw_time_entries
    add column updated_at_remote timestamptz,
    add column read_at           timestamptz,
    add column deleted_at        timestamptz;

alter table raw_csat_surveys
    add column updated_at_remote timestamptz,
    add column read_at           timestamptz,
    add column deleted_at        timestamptz;

alter table raw_security_alerts
    add column updated_at_remote timestamptz,
    add column read_at           timestamptz,
    add column deleted_at        timestamptz;

comment on column raw_tickets.status is 'Status in the source system; where closed_flag is null, closed, resolved and completed count as closed, in any case of letters';
comment on column raw_tickets.priority is 'Priority; High and Critical count as high, in any case of letters';
comment on column raw_tickets.closed_flag is 'Whether the source system says that it is closed; null where it does not say';
comment on column raw_tickets.closed_at is 'When it counts as closed, by ticket_closed_at; null while open';

do $$
declare
    name text;
begin
    foreach name in array array['raw_tickets', 'raw_time_entries', 'raw_csat_surveys', 'raw_security_alerts'] loop
        execute format('comment on column %I.read_at is %L', name,
            'When the reading of the source began that last wrote the row, or missed it; null in rows of before');
        execute format('comment on column %I.deleted_at is %L', name,
            'When a reading of the whole source first missed it: it is in no KPI, list, export or summary; null while the source has it');
        if name <> 'raw_tickets' then
            execute format('comment on column %I.updated_at_remote is %L', name,
                'When it last changed in the source system, where that says so');
        end if;
        -- Hides deleted rows from every query of a tenant, those of the version before too.
        execute format('alter policy tenant_reads on %I using (tenant_id = current_tenant() and deleted_at is null)', name);
    end loop;
end
$$;

create table ingest_seen (
    tenant_id  uuid not null references tenants (id) on delete cascade,
    dataset    text not null,
    generation bigint not null,
    batch      bigint not null,
    keys       text[] not null,
    parts      text[] not null,
    primary key (tenant_id, dataset, generation, batch)
);

comment on table ingest_seen is 'Which rows the reading of a dataset has stored so far; once it has come to the end, the others are marked as deleted';
comment on column ingest_seen.tenant_id is 'Whose dataset it is';
comment on column ingest_seen.dataset is 'tickets, time_entries, csat or security_alerts';
comment on column ingest_seen.generation is 'The turn in which the reading began (ingest_turns.generation)';
comment on column ingest_seen.batch is 'Counts the reading''s batches, from 1';
comment on column ingest_seen.keys is 'The rows'' ids in the source system; of alerts, their products';
comment on column ingest_seen.parts is 'Of alerts, their ids in their products; else empty texts';

alter table ingest_seen enable row level security;
