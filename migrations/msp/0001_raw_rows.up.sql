-- Rows as they came from the source systems, one table a dataset. Deleted rows stay, and are in no
-- list, KPI, export or summary: the policies leave them out, and the indexes of lists hold the
-- others alone.

grant usage on schema msp to weirgate_tenant;

-- Of two readings of a row, the one that the source changed later is the newer; where the source
-- does not say, or the row had been deleted, the reading that began later is.
create function msp.is_newer_row(
    stored_updated timestamptz, stored_read timestamptz, stored_deleted timestamptz,
    updated timestamptz, read timestamptz
) returns boolean language sql immutable parallel safe as $$
    select case when stored_deleted is null and stored_updated is not null and updated is not null
        then (updated, read) >= (stored_updated, coalesce(stored_read, '-infinity'))
        else read >= coalesce(stored_read, '-infinity') end
$$;

comment on function msp.is_newer_row(timestamptz, timestamptz, timestamptz, timestamptz, timestamptz) is
    'Whether a reading of a row takes the place of the stored one';

-- The one rule for tickets that are closed: KPIs, lists, summaries and exports all read
-- raw_tickets.closed_at.
create function msp.ticket_closed_at(
    status text, closed_flag boolean, closed_at_remote timestamptz, updated_at_remote timestamptz
) returns timestamptz language sql immutable parallel safe as $$
    select case when coalesce(closed_flag, lower(btrim(status)) in ('closed', 'resolved', 'completed'))
        then coalesce(closed_at_remote, updated_at_remote) end
$$;

comment on function msp.ticket_closed_at(text, boolean, timestamptz, timestamptz) is
    'When a ticket counts as closed: the source''s flag decides, or else its status, in any case '
    'of letters; null while open';

-- raw_tickets_long_open holds tickets that are or were open for more than 28 days, few of all: a
-- day's KPIs count those open at its end without a look at each ticket there ever was.
create table msp.raw_tickets (
    tenant_id         uuid not null references identity.tenants(id) on delete cascade,
    cw_ticket_id      text not null,
    board             text,
    status            text not null,
    priority          text not null,
    summary           text,
    description       text,
    company           text,
    owner             text,
    created_at_remote timestamptz not null,
    updated_at_remote timestamptz not null,
    closed_at_remote  timestamptz,
    sla_status        text,
    estimated_hours   double precision,
    closed_at         timestamptz,
    ingested_at       timestamptz not null default now(),
    closed_flag       boolean,
    read_at           timestamptz,
    deleted_at        timestamptz,
    primary key (tenant_id, cw_ticket_id)
);

create index raw_tickets_closed on msp.raw_tickets (tenant_id, closed_at) where closed_at is not null;
create index raw_tickets_created on msp.raw_tickets (tenant_id, created_at_remote, closed_at) include (deleted_at);
create index raw_tickets_long_open on msp.raw_tickets (tenant_id, created_at_remote, closed_at) include (deleted_at)
    where closed_at is null or closed_at - created_at_remote > interval '28 days';
create index raw_tickets_listed on msp.raw_tickets (tenant_id, created_at_remote, cw_ticket_id)
    where deleted_at is null;

comment on table msp.raw_tickets is 'Support tickets of the source system';
comment on column msp.raw_tickets.tenant_id is 'Whose ticket it is';
comment on column msp.raw_tickets.cw_ticket_id is 'Id in the source system';
comment on column msp.raw_tickets.board is 'Service board';
comment on column msp.raw_tickets.status is
    'Status in the source system; where closed_flag is null, closed, resolved and completed count '
    'as closed, in any case of letters';
comment on column msp.raw_tickets.priority is
    'Priority; High and Critical count as high, in any case of letters';
comment on column msp.raw_tickets.summary is 'One line';
comment on column msp.raw_tickets.description is 'Full text';
comment on column msp.raw_tickets.company is 'The end customer';
comment on column msp.raw_tickets.owner is 'Technician in charge';
comment on column msp.raw_tickets.created_at_remote is 'When it was opened in the source system';
comment on column msp.raw_tickets.updated_at_remote is 'When it last changed in the source system';
comment on column msp.raw_tickets.closed_at_remote is
    'When it was closed, where the source system says so';
comment on column msp.raw_tickets.sla_status is 'Service level as the source system sees it';
comment on column msp.raw_tickets.estimated_hours is 'Estimated effort in hours';
comment on column msp.raw_tickets.closed_at is
    'When it counts as closed, by ticket_closed_at; null while open';
comment on column msp.raw_tickets.ingested_at is 'When an ingest last wrote it';
comment on column msp.raw_tickets.closed_flag is
    'Whether the source system says that it is closed; null where it does not say';
comment on column msp.raw_tickets.read_at is
    'When the reading of the source began that last wrote the row, or missed it; null in rows of '
    'before';
comment on column msp.raw_tickets.deleted_at is
    'When a reading of the whole source first missed it: it is in no KPI, list, export or '
    'summary; null while the source has it';

alter table msp.raw_tickets enable row level security;
create policy tenant_reads on msp.raw_tickets for select to weirgate_tenant
    using (tenant_id = identity.current_tenant() and deleted_at is null);
grant select on msp.raw_tickets to weirgate_tenant;

create function msp.set_ticket_closed_at() returns trigger language plpgsql as $$
begin
    new.closed_at := msp.ticket_closed_at(new.status, new.closed_flag, new.closed_at_remote, new.updated_at_remote);
    return new;
end
$$;

comment on function msp.set_ticket_closed_at() is
    'Keeps raw_tickets.closed_at by the rule, whoever writes the ticket';

create trigger set_closed_at
    before insert or update of status, closed_flag, closed_at_remote, updated_at_remote, closed_at
    on msp.raw_tickets
    for each row
    execute function msp.set_ticket_closed_at();

create table msp.raw_time_entries (
    tenant_id         uuid not null references identity.tenants(id) on delete cascade,
    cw_time_entry_id  text not null,
    cw_ticket_id      text,
    member            text,
    work_type         text,
    billable          boolean not null,
    minutes           integer not null check (minutes >= 0),
    notes             text,
    date_worked       date not null,
    ingested_at       timestamptz not null default now(),
    updated_at_remote timestamptz,
    read_at           timestamptz,
    deleted_at        timestamptz,
    primary key (tenant_id, cw_time_entry_id)
);

create index raw_time_entries_day on msp.raw_time_entries (tenant_id, date_worked)
    include (minutes, billable, deleted_at);
create index raw_time_entries_ticket on msp.raw_time_entries (tenant_id, cw_ticket_id) include (deleted_at);
create index raw_time_entries_listed on msp.raw_time_entries (tenant_id, date_worked, cw_time_entry_id)
    where deleted_at is null;

comment on table msp.raw_time_entries is 'Time worked, as booked in the source system';
comment on column msp.raw_time_entries.tenant_id is 'Whose time entry it is';
comment on column msp.raw_time_entries.cw_time_entry_id is 'Id in the source system';
comment on column msp.raw_time_entries.cw_ticket_id is 'The ticket it was booked on';
comment on column msp.raw_time_entries.member is 'Who worked';
comment on column msp.raw_time_entries.work_type is 'Kind of work';
comment on column msp.raw_time_entries.billable is 'Whether it is billed';
comment on column msp.raw_time_entries.minutes is 'Time worked, in minutes';
comment on column msp.raw_time_entries.notes is 'What was done';
comment on column msp.raw_time_entries.date_worked is 'The day, in the tenant''s time zone';
comment on column msp.raw_time_entries.ingested_at is 'When an ingest last wrote it';
comment on column msp.raw_time_entries.updated_at_remote is
    'When it last changed in the source system, where that says so';
comment on column msp.raw_time_entries.read_at is
    'When the reading of the source began that last wrote the row, or missed it; null in rows of '
    'before';
comment on column msp.raw_time_entries.deleted_at is
    'When a reading of the whole source first missed it: it is in no KPI, list, export or '
    'summary; null while the source has it';

alter table msp.raw_time_entries enable row level security;
create policy tenant_reads on msp.raw_time_entries for select to weirgate_tenant
    using (tenant_id = identity.current_tenant() and deleted_at is null);
grant select on msp.raw_time_entries to weirgate_tenant;

create table msp.raw_csat_surveys (
    tenant_id         uuid not null references identity.tenants(id) on delete cascade,
    survey_id         text not null,
    ticket_id         text,
    score             double precision not null,
    sentiment         text,
    comment           text,
    submitted_at      timestamptz not null,
    ingested_at       timestamptz not null default now(),
    updated_at_remote timestamptz,
    read_at           timestamptz,
    deleted_at        timestamptz,
    primary key (tenant_id, survey_id)
);

create index raw_csat_surveys_submitted on msp.raw_csat_surveys (tenant_id, submitted_at) include (score, deleted_at);
create index raw_csat_surveys_listed on msp.raw_csat_surveys (tenant_id, submitted_at, survey_id)
    where deleted_at is null;

comment on table msp.raw_csat_surveys is 'Customer satisfaction surveys';
comment on column msp.raw_csat_surveys.tenant_id is 'Whose survey it is';
comment on column msp.raw_csat_surveys.survey_id is 'Id in the source system';
comment on column msp.raw_csat_surveys.ticket_id is 'The ticket it is about';
comment on column msp.raw_csat_surveys.score is 'Score on the source system''s scale';
comment on column msp.raw_csat_surveys.sentiment is
    'positive, neutral or negative, where the source says so';
comment on column msp.raw_csat_surveys.comment is 'What the customer wrote';
comment on column msp.raw_csat_surveys.submitted_at is 'When it was filled in';
comment on column msp.raw_csat_surveys.ingested_at is 'When an ingest last wrote it';
comment on column msp.raw_csat_surveys.updated_at_remote is
    'When it last changed in the source system, where that says so';
comment on column msp.raw_csat_surveys.read_at is
    'When the reading of the source began that last wrote the row, or missed it; null in rows of '
    'before';
comment on column msp.raw_csat_surveys.deleted_at is
    'When a reading of the whole source first missed it: it is in no KPI, list, export or '
    'summary; null while the source has it';

alter table msp.raw_csat_surveys enable row level security;
create policy tenant_reads on msp.raw_csat_surveys for select to weirgate_tenant
    using (tenant_id = identity.current_tenant() and deleted_at is null);
grant select on msp.raw_csat_surveys to weirgate_tenant;

create table msp.raw_security_alerts (
    tenant_id         uuid not null references identity.tenants(id) on delete cascade,
    source            text not null,
    alert_id          text not null,
    severity          text not null,
    title             text,
    device            text,
    status            text not null,
    detected_at       timestamptz not null,
    ingested_at       timestamptz not null default now(),
    updated_at_remote timestamptz,
    read_at           timestamptz,
    deleted_at        timestamptz,
    primary key (tenant_id, source, alert_id)
);

create index raw_security_alerts_detected on msp.raw_security_alerts (tenant_id, detected_at);
create index raw_security_alerts_listed on msp.raw_security_alerts (tenant_id, detected_at, source, alert_id)
    where deleted_at is null;

comment on table msp.raw_security_alerts is 'Alerts of the security products';
comment on column msp.raw_security_alerts.tenant_id is 'Whose alert it is';
comment on column msp.raw_security_alerts.source is 'The product, such as sentinelone or defender';
comment on column msp.raw_security_alerts.alert_id is 'Id in that product';
comment on column msp.raw_security_alerts.severity is 'Severity as the product says';
comment on column msp.raw_security_alerts.title is 'What was seen';
comment on column msp.raw_security_alerts.device is 'Where it was seen';
comment on column msp.raw_security_alerts.status is 'State of its handling';
comment on column msp.raw_security_alerts.detected_at is 'When it was seen';
comment on column msp.raw_security_alerts.ingested_at is 'When an ingest last wrote it';
comment on column msp.raw_security_alerts.updated_at_remote is
    'When it last changed in the source system, where that says so';
comment on column msp.raw_security_alerts.read_at is
    'When the reading of the source began that last wrote the row, or missed it; null in rows of '
    'before';
comment on column msp.raw_security_alerts.deleted_at is
    'When a reading of the whole source first missed it: it is in no KPI, list, export or '
    'summary; null while the source has it';

alter table msp.raw_security_alerts enable row level security;
create policy tenant_reads on msp.raw_security_alerts for select to weirgate_tenant
    using (tenant_id = identity.current_tenant() and deleted_at is null);
grant select on msp.raw_security_alerts to weirgate_tenant;
