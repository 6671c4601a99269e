drop table ingest_seen;

do $$
declare
    name text;
begin
    foreach name in array array['raw_tickets', 'raw_time_entries', 'raw_csat_surveys', 'raw_security_alerts'] loop
        execute format('alter policy tenant_reads on %I using (tenant_id = current_tenant())', name);
        -- Rows that the source has no longer count again, as they did before.
        execute format('alter table %I drop column read_at, drop column deleted_at', name);
        if name <> 'raw_tickets' then
            execute format('alter table %I drop column updated_at_remote', name);
        end if;
    end loop;
end
$$;

drop trigger set_closed_at on raw_tickets;
drop function set_ticket_closed_at;
drop function is_newer_row;
drop function ticket_closed_at;

-- Takes the column's three indexes along.
alter table raw_tickets drop column closed_at, drop column closed_flag;
alter table raw_tickets add column closed_at timestamptz generated always as (
    case when status in ('Closed', 'Resolved', 'Completed') then coalesce(closed_at_remote, updated_at_remote) end
) stored;

create index raw_tickets_created on raw_tickets (tenant_id, created_at_remote, closed_at);
create index raw_tickets_closed on raw_tickets (tenant_id, closed_at) where closed_at is not null;
create index raw_tickets_long_open on raw_tickets (tenant_id, created_at_remote, closed_at)
    where closed_at is null or closed_at - created_at_remote > interval '28 days';

comment on column raw_tickets.status is 'Status in the source system; Closed, Resolved and Completed count as closed';
comment on column raw_tickets.priority is 'Priority; High and Critical count as high';
comment on column raw_tickets.closed_at is 'When it counts as closed: closed_at_remote, else updated_at_remote; null while open';
