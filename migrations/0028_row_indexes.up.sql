-- Indexes that know deleted rows. In a migration of its own: the tables can be read while these are built.

-- Before any row is: who writes a row that is locked here holds the table, which the indexes need.
lock table raw_tickets in share row exclusive mode;

-- The rule for closed tickets takes statuses in any case of letters now.
update raw_tickets set closed_at = null
where closed_at is distinct from ticket_closed_at(status, closed_flag, closed_at_remote, updated_at_remote);

-- KPIs count in the indexes alone; the version before, which does not ask for deleted_at, goes on with the same ones.
create index raw_tickets_created_new on raw_tickets (tenant_id, created_at_remote, closed_at) include (deleted_at);
create index raw_tickets_long_open_new on raw_tickets (tenant_id, created_at_remote, closed_at) include (deleted_at)
    where closed_at is null or closed_at - created_at_remote > interval '28 days';
create index raw_time_entries_day_new on raw_time_entries (tenant_id, date_worked) include (minutes, billable, deleted_at);
create index raw_time_entries_ticket_new on raw_time_entries (tenant_id, cw_ticket_id) include (deleted_at);
create index raw_csat_surveys_submitted_new on raw_csat_surveys (tenant_id, submitted_at) include (score, deleted_at);

-- Lists of tenants walk along these, where many deleted rows in a row would make a page slow. Every query of a tenant has the condition
-- by the tables' policies.
create index raw_tickets_listed_new on raw_tickets (tenant_id, created_at_remote, cw_ticket_id) where deleted_at is null;
create index raw_time_entries_listed_new on raw_time_entries (tenant_id, date_worked, cw_time_entry_id) where deleted_at is null;
create index raw_csat_surveys_listed_new on raw_csat_surveys (tenant_id, submitted_at, survey_id) where deleted_at is null;
create index raw_security_alerts_listed_new on raw_security_alerts (tenant_id, detected_at, source, alert_id)
    where deleted_at is null;

-- Lists of rejected rows.
create index ingest_rejects_dataset on ingest_rejects (dataset, tenant_id, origin, line);
create index ingest_rejects_job on ingest_rejects (job_id);

do $$
declare
    name text;
begin
    foreach name in array array[
        -- In the order in which KPIs read the tables.
        'raw_time_entries_day', 'raw_time_entries_ticket', 'raw_time_entries_listed', 'raw_tickets_created', 'raw_tickets_long_open',
        'raw_tickets_listed', 'raw_csat_surveys_submitted', 'raw_csat_surveys_listed',
        'raw_security_alerts_listed'
    ] loop
        execute format('drop index %I', name);
        execute format('alter index %I rename to %I', name || '_new', name);
    end loop;
end
$$;
