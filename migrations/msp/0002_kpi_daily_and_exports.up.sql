-- What the jobs compute: KPIs by tenant and day, and the files that were exported.

create table msp.kpi_daily (
    tenant_id                  uuid not null references identity.tenants(id) on delete cascade,
    kpi_date                   date not null,
    total_minutes              bigint not null,
    billable_minutes           bigint not null,
    non_billable_minutes       bigint not null,
    avg_resolution_minutes     double precision,
    first_call_resolution_rate double precision,
    avg_satisfaction_score     double precision,
    tickets_created            bigint not null,
    tickets_closed             bigint not null,
    tickets_open               bigint not null,
    tickets_high_priority      bigint not null,
    anomaly_detected           boolean not null,
    z_score                    double precision,
    computed_at                timestamptz not null default now(),
    primary key (tenant_id, kpi_date)
);

create index kpi_daily_unusual on msp.kpi_daily (kpi_date, tenant_id) where anomaly_detected;

comment on table msp.kpi_daily is 'KPIs of one tenant and one day of its time zone';
comment on column msp.kpi_daily.tenant_id is 'Whose KPIs they are';
comment on column msp.kpi_daily.kpi_date is 'The day, in the tenant''s time zone';
comment on column msp.kpi_daily.total_minutes is 'Minutes worked on the day';
comment on column msp.kpi_daily.billable_minutes is 'Of these, billable';
comment on column msp.kpi_daily.non_billable_minutes is 'Of these, not billable';
comment on column msp.kpi_daily.avg_resolution_minutes is
    'Mean minutes from creation to closing, over tickets closed on the day; null without any';
comment on column msp.kpi_daily.first_call_resolution_rate is
    'Share (0 to 1) of tickets closed on the day that have exactly one time entry; null without '
    'any';
comment on column msp.kpi_daily.avg_satisfaction_score is
    'Mean score of surveys submitted on the day; null without any';
comment on column msp.kpi_daily.tickets_created is 'Tickets created on the day';
comment on column msp.kpi_daily.tickets_closed is 'Tickets closed on the day';
comment on column msp.kpi_daily.tickets_open is
    'Tickets created by the end of the day and not closed by then';
comment on column msp.kpi_daily.tickets_high_priority is
    'Tickets created on the day with priority High or Critical';
comment on column msp.kpi_daily.anomaly_detected is 'Whether the z-score is 3 or more either way';
comment on column msp.kpi_daily.z_score is
    'Of tickets_created against the 28 days before: (x - mean) / deviation; null under 7 days of '
    'history. The deviation is that of the sample, but at least sqrt(mean), which counts of '
    'independent events have (Poisson; the limits of a c chart, NIST/SEMATECH e-Handbook of '
    'Statistical Methods, 6.3.3.1), and at least 1 ticket';
comment on column msp.kpi_daily.computed_at is
    'When it was worked out; before the end of the day, the row is of what there was by then, and '
    'a backfill of what is missing takes the day';

alter table msp.kpi_daily enable row level security;
create policy tenant_reads on msp.kpi_daily for select to weirgate_tenant
    using (tenant_id = identity.current_tenant());
grant select on msp.kpi_daily to weirgate_tenant;

create table msp.exports (
    tenant_id   uuid not null references identity.tenants(id) on delete cascade,
    id          uuid not null,
    export_date date not null,
    format      text not null check (format in ('json', 'csv')),
    object_path text not null,
    bytes       bigint not null,
    sha256      text not null,
    job_id      uuid not null,
    created_at  timestamptz not null default now(),
    primary key (tenant_id, id),
    unique (tenant_id, export_date, format)
);

comment on table msp.exports is 'Files written for a tenant';
comment on column msp.exports.tenant_id is 'Whose file it is';
comment on column msp.exports.id is 'Permanent id; writing the same day and format again keeps it';
comment on column msp.exports.export_date is 'The day it is about';
comment on column msp.exports.format is 'json or csv';
comment on column msp.exports.object_path is 'Where it lies in the object store';
comment on column msp.exports.bytes is 'Size in bytes';
comment on column msp.exports.sha256 is 'SHA-256 of the file, hexadecimal';
comment on column msp.exports.job_id is 'The job that wrote it';
comment on column msp.exports.created_at is
    'When it was last written; before the end of the day, a backfill of what is missing takes the '
    'day';

alter table msp.exports enable row level security;
create policy tenant_reads on msp.exports for select to weirgate_tenant
    using (tenant_id = identity.current_tenant());
grant select on msp.exports to weirgate_tenant;
