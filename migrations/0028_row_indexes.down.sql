drop index ingest_rejects_job, ingest_rejects_dataset, raw_tickets_created, raw_tickets_long_open, raw_time_entries_day,
    raw_time_entries_ticket, raw_csat_surveys_submitted, raw_tickets_listed, raw_time_entries_listed, raw_csat_surveys_listed,
    raw_security_alerts_listed;

create index raw_tickets_created on raw_tickets (tenant_id, created_at_remote, closed_at);
create index raw_tickets_long_open on raw_tickets (tenant_id, created_at_remote, closed_at)
    where closed_at is null or closed_at - created_at_remote > interval '28 days';
create index raw_time_entries_day on raw_time_entries (tenant_id, date_worked) include (minutes, billable);
create index raw_time_entries_ticket on raw_time_entries (tenant_id, cw_ticket_id);
create index raw_csat_surveys_submitted on raw_csat_surveys (tenant_id, submitted_at) include (score);
create index raw_tickets_listed on raw_tickets (tenant_id, created_at_remote, cw_ticket_id);
create index raw_time_entries_listed on raw_time_entries (tenant_id, date_worked, cw_time_entry_id);
create index raw_csat_surveys_listed on raw_csat_surveys (tenant_id, submitted_at, survey_id);
create index raw_security_alerts_listed on raw_security_alerts (tenant_id, detected_at, source, alert_id);
