-- Rows as they came from the source systems, one table a dataset, and the rows that could not be taken.

create table raw_tickets (
    tenant_id         uuid not null references tenants (id) on delete cascade,
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
    closed_at         timestamptz generated always as (
        case when status in ('Closed', 'Resolved', 'Completed') then coalesce(closed_at_remote, updated_at_remote) end
    ) stored,
    ingested_at       timestamptz not null default now(),
    primary key (tenant_id, cw_ticket_id)
);

create index raw_tickets_created on raw_tickets (tenant_id, created_at_remote, closed_at);
create index raw_tickets_closed on raw_tickets (tenant_id, closed_at) where closed_at is not null;

comment on table raw_tickets is 'Support tickets of the source system';
comment on column raw_tickets.tenant_id is 'Whose ticket it is';
comment on column raw_tickets.cw_ticket_id is 'Id in the source system';
comment on column raw_tickets.board is 'Service board';
comment on column raw_tickets.status is 'Status in the source system; Closed, Resolved and Completed count as closed';
comment on column raw_tickets.priority is 'Priority; High and Critical count as high';
comment on column raw_tickets.summary is 'One line';
comment on column raw_tickets.description is 'Full text';
comment on column raw_tickets.company is 'The end customer';
comment on column raw_tickets.owner is 'Technician in charge';
comment on column raw_tickets.created_at_remote is 'When it was opened in the source system';
comment on column raw_tickets.updated_at_remote is 'When it last changed in the source system';
comment on column raw_tickets.closed_at_remote is 'When it was closed, where the source system says so';
comment on column raw_tickets.sla_status is 'Service level as the source system sees it';
comment on column raw_tickets.estimated_hours is 'Estimated effort in hours';
comment on column raw_tickets.closed_at is 'When it counts as closed: closed_at_remote, else updated_at_remote; null while open';
comment on column raw_tickets.ingested_at is 'When an ingest last wrote it';

create table raw_time_entries (
    tenant_id        uuid not null references tenants (id) on delete cascade,
    cw_time_entry_id text not null,
    cw_ticket_id     text,
    member           text,
    work_type        text,
    billable         boolean not null,
    minutes          integer not null check (minutes >= 0),
    notes            text,
    date_worked      date not null,
    ingested_at      timestamptz not null default now(),
    primary key (tenant_id, cw_time_entry_id)
);

create index raw_time_entries_day on raw_time_entries (tenant_id, date_worked) include (minutes, billable);
create index raw_time_entries_ticket on raw_time_entries (tenant_id, cw_ticket_id);

comment on table raw_time_entries is 'Time worked, as booked in the source system';
comment on column raw_time_entries.tenant_id is 'Whose time entry it is';
comment on column raw_time_entries.cw_time_entry_id is 'Id in the source system';
comment on column raw_time_entries.cw_ticket_id is 'The ticket it was booked on';
comment on column raw_time_entries.member is 'Who worked';
comment on column raw_time_entries.work_type is 'Kind of work';
comment on column raw_time_entries.billable is 'Whether it is billed';
comment on column raw_time_entries.minutes is 'Time worked, in minutes';
comment on column raw_time_entries.notes is 'What was done';
comment on column raw_time_entries.date_worked is 'The day, in the tenant''s time zone';
comment on column raw_time_entries.ingested_at is 'When an ingest last wrote it';

create table raw_csat_surveys (
    tenant_id    uuid not null references tenants (id) on delete cascade,
    survey_id    text not null,
    ticket_id    text,
    score        double precision not null,
    sentiment    text,
    comment      text,
    submitted_at timestamptz not null,
    ingested_at  timestamptz not null default now(),
    primary key (tenant_id, survey_id)
);

create index raw_csat_surveys_submitted on raw_csat_surveys (tenant_id, submitted_at) include (score);

comment on table raw_csat_surveys is 'Customer satisfaction surveys';
comment on column raw_csat_surveys.tenant_id is 'Whose survey it is';
comment on column raw_csat_surveys.survey_id is 'Id in the source system';
comment on column raw_csat_surveys.ticket_id is 'The ticket it is about';
comment on column raw_csat_surveys.score is 'Score on the source system''s scale';
comment on column raw_csat_surveys.sentiment is 'positive, neutral or negative, where the source says so';
comment on column raw_csat_surveys.comment is 'What the customer wrote';
comment on column raw_csat_surveys.submitted_at is 'When it was filled in';
comment on column raw_csat_surveys.ingested_at is 'When an ingest last wrote it';

create table raw_security_alerts (
    tenant_id   uuid not null references tenants (id) on delete cascade,
    source      text not null,
    alert_id    text not null,
    severity    text not null,
    title       text,
    device      text,
    status      text not null,
    detected_at timestamptz not null,
    ingested_at timestamptz not null default now(),
    primary key (tenant_id, source, alert_id)
);

create index raw_security_alerts_detected on raw_security_alerts (tenant_id, detected_at);

comment on table raw_security_alerts is 'Alerts of the security products';
comment on column raw_security_alerts.tenant_id is 'Whose alert it is';
comment on column raw_security_alerts.source is 'The product, such as sentinelone or defender';
comment on column raw_security_alerts.alert_id is 'Id in that product';
comment on column raw_security_alerts.severity is 'Severity as the product says';
comment on column raw_security_alerts.title is 'What was seen';
comment on column raw_security_alerts.device is 'Where it was seen';
comment on column raw_security_alerts.status is 'State of its handling';
comment on column raw_security_alerts.detected_at is 'When it was seen';
comment on column raw_security_alerts.ingested_at is 'When an ingest last wrote it';

create table ingest_rejects (
    tenant_id   uuid not null references tenants (id) on delete cascade,
    dataset     text not null,
    origin      text not null,
    line        bigint not null,
    reason      text not null,
    content     text,
    job_id      uuid not null,
    rejected_at timestamptz not null default now(),
    primary key (tenant_id, dataset, origin, line)
);

comment on table ingest_rejects is 'Rows of a source that could not be taken, as the last ingest found them';
comment on column ingest_rejects.tenant_id is 'Whose source it is';
comment on column ingest_rejects.dataset is 'tickets, time_entries, csat or security_alerts';
comment on column ingest_rejects.origin is 'File or address of the row';
comment on column ingest_rejects.line is 'Line or number of the row in it, from 1';
comment on column ingest_rejects.reason is 'What is wrong with it';
comment on column ingest_rejects.content is 'The row itself, its first 2,000 characters';
comment on column ingest_rejects.job_id is 'The job that found it';
comment on column ingest_rejects.rejected_at is 'When it was found';

do $$
declare
    name text;
begin
    foreach name in array array['raw_tickets', 'raw_time_entries', 'raw_csat_surveys', 'raw_security_alerts', 'ingest_rejects'] loop
        execute format('alter table %I enable row level security', name);
        execute format('create policy tenant_reads on %I for select to weirgate_tenant using (tenant_id = current_tenant())', name);
        execute format('grant select on %I to weirgate_tenant', name);
    end loop;
end
$$;
