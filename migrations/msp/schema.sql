-- The schema msp as its migrations make it. Written by scripts/sqlx-prepare.

CREATE SCHEMA msp;

CREATE FUNCTION msp.is_newer_row(stored_updated timestamp with time zone, stored_read timestamp with time zone, stored_deleted timestamp with time zone, updated timestamp with time zone, read timestamp with time zone) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    select case when stored_deleted is null and stored_updated is not null and updated is not null
        then (updated, read) >= (stored_updated, coalesce(stored_read, '-infinity'))
        else read >= coalesce(stored_read, '-infinity') end
$$;

COMMENT ON FUNCTION msp.is_newer_row(stored_updated timestamp with time zone, stored_read timestamp with time zone, stored_deleted timestamp with time zone, updated timestamp with time zone, read timestamp with time zone) IS 'Whether a reading of a row takes the place of the stored one';

CREATE FUNCTION msp.keep_source_run(job uuid, tenant uuid, kind text, state text, finalized_at timestamp with time zone, output jsonb, error jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if state = 'discarded' then
        insert into msp.source_runs as s (tenant_id, dataset, failed_since, failed_job_id, error_code, error_message)
        select t.id, substr(kind, length('ingest_') + 1), finalized_at, job, error ->> 'code', error ->> 'message'
        from identity.tenants t where t.id = tenant
        on conflict (tenant_id, dataset) do update
        set failed_since = coalesce(s.failed_since, excluded.failed_since), failed_job_id = excluded.failed_job_id,
            error_code = excluded.error_code, error_message = excluded.error_message;
    elsif jsonb_typeof(output -> 'read') = 'number' then
        insert into msp.source_runs as s (
            tenant_id, dataset, job_id, finished_at, read, accepted, rejected, rows_before)
        select t.id, substr(kind, length('ingest_') + 1), job, finalized_at, o.read, o.accepted, o.rejected, o.read
        from identity.tenants t, jsonb_to_record(output) as o (read bigint, accepted bigint, rejected bigint)
        where t.id = tenant
        on conflict (tenant_id, dataset) do update
        set job_id = excluded.job_id, finished_at = excluded.finished_at, read = excluded.read,
            accepted = excluded.accepted, rejected = excluded.rejected,
            rows_before = case when excluded.read > 0 then excluded.read else s.rows_before end,
            failed_since = null, failed_job_id = null, error_code = null, error_message = null;
    end if;
end
$$;

COMMENT ON FUNCTION msp.keep_source_run(job uuid, tenant uuid, kind text, state text, finalized_at timestamp with time zone, output jsonb, error jsonb) IS 'Keeps source_runs up to date, in the transaction that ends an ingest; a hook of the engine (queue.add_final_hook)';

CREATE FUNCTION msp.set_ticket_closed_at() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    new.closed_at := msp.ticket_closed_at(new.status, new.closed_flag, new.closed_at_remote, new.updated_at_remote);
    return new;
end
$$;

COMMENT ON FUNCTION msp.set_ticket_closed_at() IS 'Keeps raw_tickets.closed_at by the rule, whoever writes the ticket';

CREATE FUNCTION msp.ticket_closed_at(status text, closed_flag boolean, closed_at_remote timestamp with time zone, updated_at_remote timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    select case when coalesce(closed_flag, lower(btrim(status)) in ('closed', 'resolved', 'completed'))
        then coalesce(closed_at_remote, updated_at_remote) end
$$;

COMMENT ON FUNCTION msp.ticket_closed_at(status text, closed_flag boolean, closed_at_remote timestamp with time zone, updated_at_remote timestamp with time zone) IS 'When a ticket counts as closed: the source''s flag decides, or else its status, in any case of letters; null while open';

CREATE TABLE msp.exports (
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

COMMENT ON TABLE msp.exports IS 'Files written for a tenant';

COMMENT ON COLUMN msp.exports.tenant_id IS 'Whose file it is';

COMMENT ON COLUMN msp.exports.id IS 'Permanent id; writing the same day and format again keeps it';

COMMENT ON COLUMN msp.exports.export_date IS 'The day it is about';

COMMENT ON COLUMN msp.exports.format IS 'json or csv';

COMMENT ON COLUMN msp.exports.object_path IS 'Where it lies in the object store';

COMMENT ON COLUMN msp.exports.bytes IS 'Size in bytes';

COMMENT ON COLUMN msp.exports.sha256 IS 'SHA-256 of the file, hexadecimal';

COMMENT ON COLUMN msp.exports.job_id IS 'The job that wrote it';

COMMENT ON COLUMN msp.exports.created_at IS 'When it was last written; before the end of the day, a backfill of what is missing takes the day';

CREATE TABLE msp.ingest_rejects (
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

COMMENT ON TABLE msp.ingest_rejects IS 'Rows of a source that could not be taken, as the last ingest found them';

COMMENT ON COLUMN msp.ingest_rejects.tenant_id IS 'Whose source it is';

COMMENT ON COLUMN msp.ingest_rejects.dataset IS 'tickets, time_entries, csat or security_alerts';

COMMENT ON COLUMN msp.ingest_rejects.origin IS 'File or address of the row';

COMMENT ON COLUMN msp.ingest_rejects.line IS 'Line or number of the row in it, from 1';

COMMENT ON COLUMN msp.ingest_rejects.reason IS 'What is wrong with it';

COMMENT ON COLUMN msp.ingest_rejects.content IS 'The row itself, its first 2,000 characters';

COMMENT ON COLUMN msp.ingest_rejects.job_id IS 'The job that found it';

COMMENT ON COLUMN msp.ingest_rejects.rejected_at IS 'When it was found';

COMMENT ON COLUMN msp.ingest_rejects.generation IS 'The run that found it (ingest_turns.generation): newer runs of the dataset replace it';

CREATE TABLE msp.ingest_seen (
    tenant_id uuid NOT NULL,
    dataset text NOT NULL,
    generation bigint NOT NULL,
    batch bigint NOT NULL,
    keys text[] NOT NULL,
    parts text[] NOT NULL
);

COMMENT ON TABLE msp.ingest_seen IS 'Which rows the reading of a dataset has stored so far; once it has come to the end, the others are marked as deleted';

COMMENT ON COLUMN msp.ingest_seen.tenant_id IS 'Whose dataset it is';

COMMENT ON COLUMN msp.ingest_seen.dataset IS 'tickets, time_entries, csat or security_alerts';

COMMENT ON COLUMN msp.ingest_seen.generation IS 'The turn in which the reading began (ingest_turns.generation)';

COMMENT ON COLUMN msp.ingest_seen.batch IS 'Counts the reading''s batches, from 1';

COMMENT ON COLUMN msp.ingest_seen.keys IS 'The rows'' ids in the source system; of alerts, their products';

COMMENT ON COLUMN msp.ingest_seen.parts IS 'Of alerts, their ids in their products; else empty texts';

CREATE TABLE msp.ingest_turns (
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

COMMENT ON TABLE msp.ingest_turns IS 'Which run ingests a dataset of a tenant, one at a time, and which job comes next';

COMMENT ON COLUMN msp.ingest_turns.tenant_id IS 'Whose dataset it is';

COMMENT ON COLUMN msp.ingest_turns.dataset IS 'tickets, time_entries, csat or security_alerts';

COMMENT ON COLUMN msp.ingest_turns.generation IS 'Counts the runs that took in the dataset, in their order';

COMMENT ON COLUMN msp.ingest_turns.job_id IS 'The job whose turn it is; it is over as soon as that job''s run is';

COMMENT ON COLUMN msp.ingest_turns.run IS 'The run token of that job''s run';

COMMENT ON COLUMN msp.ingest_turns.worker_id IS 'The worker of that run';

COMMENT ON COLUMN msp.ingest_turns.began_at IS 'When the turn began';

COMMENT ON COLUMN msp.ingest_turns.next_job_id IS 'The oldest job that found the turn taken: it comes before newer ones';

COMMENT ON COLUMN msp.ingest_turns.next_seq IS 'That job''s number in order of enqueueing';

COMMENT ON COLUMN msp.ingest_turns.next_until IS 'Until when its place is kept: a job that does not come back for it, as its lane is paused, does not keep others waiting for ever';

CREATE TABLE msp.kpi_daily (
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

COMMENT ON TABLE msp.kpi_daily IS 'KPIs of one tenant and one day of its time zone';

COMMENT ON COLUMN msp.kpi_daily.tenant_id IS 'Whose KPIs they are';

COMMENT ON COLUMN msp.kpi_daily.kpi_date IS 'The day, in the tenant''s time zone';

COMMENT ON COLUMN msp.kpi_daily.total_minutes IS 'Minutes worked on the day';

COMMENT ON COLUMN msp.kpi_daily.billable_minutes IS 'Of these, billable';

COMMENT ON COLUMN msp.kpi_daily.non_billable_minutes IS 'Of these, not billable';

COMMENT ON COLUMN msp.kpi_daily.avg_resolution_minutes IS 'Mean minutes from creation to closing, over tickets closed on the day; null without any';

COMMENT ON COLUMN msp.kpi_daily.first_call_resolution_rate IS 'Share (0 to 1) of tickets closed on the day that have exactly one time entry; null without any';

COMMENT ON COLUMN msp.kpi_daily.avg_satisfaction_score IS 'Mean score of surveys submitted on the day; null without any';

COMMENT ON COLUMN msp.kpi_daily.tickets_created IS 'Tickets created on the day';

COMMENT ON COLUMN msp.kpi_daily.tickets_closed IS 'Tickets closed on the day';

COMMENT ON COLUMN msp.kpi_daily.tickets_open IS 'Tickets created by the end of the day and not closed by then';

COMMENT ON COLUMN msp.kpi_daily.tickets_high_priority IS 'Tickets created on the day with priority High or Critical';

COMMENT ON COLUMN msp.kpi_daily.anomaly_detected IS 'Whether the z-score is 3 or more either way';

COMMENT ON COLUMN msp.kpi_daily.z_score IS 'Of tickets_created against the 28 days before: (x - mean) / deviation; null under 7 days of history. The deviation is that of the sample, but at least sqrt(mean), which counts of independent events have (Poisson; the limits of a c chart, NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.3.1), and at least 1 ticket';

COMMENT ON COLUMN msp.kpi_daily.computed_at IS 'When it was worked out; before the end of the day, the row is of what there was by then, and a backfill of what is missing takes the day';

CREATE TABLE msp.raw_csat_surveys (
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

COMMENT ON TABLE msp.raw_csat_surveys IS 'Customer satisfaction surveys';

COMMENT ON COLUMN msp.raw_csat_surveys.tenant_id IS 'Whose survey it is';

COMMENT ON COLUMN msp.raw_csat_surveys.survey_id IS 'Id in the source system';

COMMENT ON COLUMN msp.raw_csat_surveys.ticket_id IS 'The ticket it is about';

COMMENT ON COLUMN msp.raw_csat_surveys.score IS 'Score on the source system''s scale';

COMMENT ON COLUMN msp.raw_csat_surveys.sentiment IS 'positive, neutral or negative, where the source says so';

COMMENT ON COLUMN msp.raw_csat_surveys.comment IS 'What the customer wrote';

COMMENT ON COLUMN msp.raw_csat_surveys.submitted_at IS 'When it was filled in';

COMMENT ON COLUMN msp.raw_csat_surveys.ingested_at IS 'When an ingest last wrote it';

COMMENT ON COLUMN msp.raw_csat_surveys.updated_at_remote IS 'When it last changed in the source system, where that says so';

COMMENT ON COLUMN msp.raw_csat_surveys.read_at IS 'When the reading of the source began that last wrote the row, or missed it; null in rows of before';

COMMENT ON COLUMN msp.raw_csat_surveys.deleted_at IS 'When a reading of the whole source first missed it: it is in no KPI, list, export or summary; null while the source has it';

CREATE TABLE msp.raw_security_alerts (
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

COMMENT ON TABLE msp.raw_security_alerts IS 'Alerts of the security products';

COMMENT ON COLUMN msp.raw_security_alerts.tenant_id IS 'Whose alert it is';

COMMENT ON COLUMN msp.raw_security_alerts.source IS 'The product, such as sentinelone or defender';

COMMENT ON COLUMN msp.raw_security_alerts.alert_id IS 'Id in that product';

COMMENT ON COLUMN msp.raw_security_alerts.severity IS 'Severity as the product says';

COMMENT ON COLUMN msp.raw_security_alerts.title IS 'What was seen';

COMMENT ON COLUMN msp.raw_security_alerts.device IS 'Where it was seen';

COMMENT ON COLUMN msp.raw_security_alerts.status IS 'State of its handling';

COMMENT ON COLUMN msp.raw_security_alerts.detected_at IS 'When it was seen';

COMMENT ON COLUMN msp.raw_security_alerts.ingested_at IS 'When an ingest last wrote it';

COMMENT ON COLUMN msp.raw_security_alerts.updated_at_remote IS 'When it last changed in the source system, where that says so';

COMMENT ON COLUMN msp.raw_security_alerts.read_at IS 'When the reading of the source began that last wrote the row, or missed it; null in rows of before';

COMMENT ON COLUMN msp.raw_security_alerts.deleted_at IS 'When a reading of the whole source first missed it: it is in no KPI, list, export or summary; null while the source has it';

CREATE TABLE msp.raw_tickets (
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

COMMENT ON TABLE msp.raw_tickets IS 'Support tickets of the source system';

COMMENT ON COLUMN msp.raw_tickets.tenant_id IS 'Whose ticket it is';

COMMENT ON COLUMN msp.raw_tickets.cw_ticket_id IS 'Id in the source system';

COMMENT ON COLUMN msp.raw_tickets.board IS 'Service board';

COMMENT ON COLUMN msp.raw_tickets.status IS 'Status in the source system; where closed_flag is null, closed, resolved and completed count as closed, in any case of letters';

COMMENT ON COLUMN msp.raw_tickets.priority IS 'Priority; High and Critical count as high, in any case of letters';

COMMENT ON COLUMN msp.raw_tickets.summary IS 'One line';

COMMENT ON COLUMN msp.raw_tickets.description IS 'Full text';

COMMENT ON COLUMN msp.raw_tickets.company IS 'The end customer';

COMMENT ON COLUMN msp.raw_tickets.owner IS 'Technician in charge';

COMMENT ON COLUMN msp.raw_tickets.created_at_remote IS 'When it was opened in the source system';

COMMENT ON COLUMN msp.raw_tickets.updated_at_remote IS 'When it last changed in the source system';

COMMENT ON COLUMN msp.raw_tickets.closed_at_remote IS 'When it was closed, where the source system says so';

COMMENT ON COLUMN msp.raw_tickets.sla_status IS 'Service level as the source system sees it';

COMMENT ON COLUMN msp.raw_tickets.estimated_hours IS 'Estimated effort in hours';

COMMENT ON COLUMN msp.raw_tickets.closed_at IS 'When it counts as closed, by ticket_closed_at; null while open';

COMMENT ON COLUMN msp.raw_tickets.ingested_at IS 'When an ingest last wrote it';

COMMENT ON COLUMN msp.raw_tickets.closed_flag IS 'Whether the source system says that it is closed; null where it does not say';

COMMENT ON COLUMN msp.raw_tickets.read_at IS 'When the reading of the source began that last wrote the row, or missed it; null in rows of before';

COMMENT ON COLUMN msp.raw_tickets.deleted_at IS 'When a reading of the whole source first missed it: it is in no KPI, list, export or summary; null while the source has it';

CREATE TABLE msp.raw_time_entries (
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

COMMENT ON TABLE msp.raw_time_entries IS 'Time worked, as booked in the source system';

COMMENT ON COLUMN msp.raw_time_entries.tenant_id IS 'Whose time entry it is';

COMMENT ON COLUMN msp.raw_time_entries.cw_time_entry_id IS 'Id in the source system';

COMMENT ON COLUMN msp.raw_time_entries.cw_ticket_id IS 'The ticket it was booked on';

COMMENT ON COLUMN msp.raw_time_entries.member IS 'Who worked';

COMMENT ON COLUMN msp.raw_time_entries.work_type IS 'Kind of work';

COMMENT ON COLUMN msp.raw_time_entries.billable IS 'Whether it is billed';

COMMENT ON COLUMN msp.raw_time_entries.minutes IS 'Time worked, in minutes';

COMMENT ON COLUMN msp.raw_time_entries.notes IS 'What was done';

COMMENT ON COLUMN msp.raw_time_entries.date_worked IS 'The day, in the tenant''s time zone';

COMMENT ON COLUMN msp.raw_time_entries.ingested_at IS 'When an ingest last wrote it';

COMMENT ON COLUMN msp.raw_time_entries.updated_at_remote IS 'When it last changed in the source system, where that says so';

COMMENT ON COLUMN msp.raw_time_entries.read_at IS 'When the reading of the source began that last wrote the row, or missed it; null in rows of before';

COMMENT ON COLUMN msp.raw_time_entries.deleted_at IS 'When a reading of the whole source first missed it: it is in no KPI, list, export or summary; null while the source has it';

CREATE TABLE msp.source_runs (
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

COMMENT ON TABLE msp.source_runs IS 'How the last ingest of each tenant and dataset went; kept by the function keep_source_run, which the engine calls when a job ends';

COMMENT ON COLUMN msp.source_runs.tenant_id IS 'Whose source it is';

COMMENT ON COLUMN msp.source_runs.dataset IS 'tickets, time_entries, csat or security_alerts';

COMMENT ON COLUMN msp.source_runs.job_id IS 'The last ingest that completed; null before the first one';

COMMENT ON COLUMN msp.source_runs.finished_at IS 'When that was';

COMMENT ON COLUMN msp.source_runs.read IS 'Rows that it read';

COMMENT ON COLUMN msp.source_runs.accepted IS 'Of these, taken';

COMMENT ON COLUMN msp.source_runs.rejected IS 'Of these, set aside in ingest_rejects';

COMMENT ON COLUMN msp.source_runs.rows_before IS 'Rows that the last ingest read which had any; 0 before that';

COMMENT ON COLUMN msp.source_runs.failed_since IS 'When the first ingest since then failed for good; null while none has';

COMMENT ON COLUMN msp.source_runs.failed_job_id IS 'The last ingest that failed for good since then';

COMMENT ON COLUMN msp.source_runs.error_code IS 'The code of its last error';

COMMENT ON COLUMN msp.source_runs.error_message IS 'The message of that';

COMMENT ON COLUMN msp.source_runs.trouble IS 'failing: no ingest completed since one failed for good; empty: the last one read nothing where an earlier one had rows; rejecting: it rejected more than a tenth of what it read; null: nothing of that';

ALTER TABLE ONLY msp.exports
    ADD CONSTRAINT exports_pkey PRIMARY KEY (tenant_id, id);

ALTER TABLE ONLY msp.exports
    ADD CONSTRAINT exports_tenant_id_export_date_format_key UNIQUE (tenant_id, export_date, format);

ALTER TABLE ONLY msp.ingest_rejects
    ADD CONSTRAINT ingest_rejects_pkey PRIMARY KEY (tenant_id, dataset, origin, line);

ALTER TABLE ONLY msp.ingest_seen
    ADD CONSTRAINT ingest_seen_pkey PRIMARY KEY (tenant_id, dataset, generation, batch);

ALTER TABLE ONLY msp.ingest_turns
    ADD CONSTRAINT ingest_turns_pkey PRIMARY KEY (tenant_id, dataset);

ALTER TABLE ONLY msp.kpi_daily
    ADD CONSTRAINT kpi_daily_pkey PRIMARY KEY (tenant_id, kpi_date);

ALTER TABLE ONLY msp.raw_csat_surveys
    ADD CONSTRAINT raw_csat_surveys_pkey PRIMARY KEY (tenant_id, survey_id);

ALTER TABLE ONLY msp.raw_security_alerts
    ADD CONSTRAINT raw_security_alerts_pkey PRIMARY KEY (tenant_id, source, alert_id);

ALTER TABLE ONLY msp.raw_tickets
    ADD CONSTRAINT raw_tickets_pkey PRIMARY KEY (tenant_id, cw_ticket_id);

ALTER TABLE ONLY msp.raw_time_entries
    ADD CONSTRAINT raw_time_entries_pkey PRIMARY KEY (tenant_id, cw_time_entry_id);

ALTER TABLE ONLY msp.source_runs
    ADD CONSTRAINT source_runs_pkey PRIMARY KEY (tenant_id, dataset);

CREATE INDEX ingest_rejects_at ON msp.ingest_rejects USING btree (rejected_at);

CREATE INDEX ingest_rejects_dataset ON msp.ingest_rejects USING btree (dataset, rejected_at);

CREATE INDEX ingest_rejects_job ON msp.ingest_rejects USING btree (job_id);

CREATE INDEX kpi_daily_unusual ON msp.kpi_daily USING btree (kpi_date, tenant_id) WHERE anomaly_detected;

CREATE INDEX raw_csat_surveys_listed ON msp.raw_csat_surveys USING btree (tenant_id, submitted_at, survey_id) WHERE (deleted_at IS NULL);

CREATE INDEX raw_csat_surveys_submitted ON msp.raw_csat_surveys USING btree (tenant_id, submitted_at) INCLUDE (score, deleted_at);

CREATE INDEX raw_security_alerts_detected ON msp.raw_security_alerts USING btree (tenant_id, detected_at);

CREATE INDEX raw_security_alerts_listed ON msp.raw_security_alerts USING btree (tenant_id, detected_at, source, alert_id) WHERE (deleted_at IS NULL);

CREATE INDEX raw_tickets_closed ON msp.raw_tickets USING btree (tenant_id, closed_at) WHERE (closed_at IS NOT NULL);

CREATE INDEX raw_tickets_created ON msp.raw_tickets USING btree (tenant_id, created_at_remote, closed_at) INCLUDE (deleted_at);

CREATE INDEX raw_tickets_listed ON msp.raw_tickets USING btree (tenant_id, created_at_remote, cw_ticket_id) WHERE (deleted_at IS NULL);

CREATE INDEX raw_tickets_long_open ON msp.raw_tickets USING btree (tenant_id, created_at_remote, closed_at) INCLUDE (deleted_at) WHERE ((closed_at IS NULL) OR ((closed_at - created_at_remote) > '28 days'::interval));

CREATE INDEX raw_time_entries_day ON msp.raw_time_entries USING btree (tenant_id, date_worked) INCLUDE (minutes, billable, deleted_at);

CREATE INDEX raw_time_entries_listed ON msp.raw_time_entries USING btree (tenant_id, date_worked, cw_time_entry_id) WHERE (deleted_at IS NULL);

CREATE INDEX raw_time_entries_ticket ON msp.raw_time_entries USING btree (tenant_id, cw_ticket_id) INCLUDE (deleted_at);

CREATE INDEX source_runs_rejected ON msp.source_runs USING btree (tenant_id) INCLUDE (rejected) WHERE (rejected > 0);

CREATE INDEX source_runs_trouble ON msp.source_runs USING btree (trouble, tenant_id, dataset) WHERE (trouble IS NOT NULL);

CREATE TRIGGER set_closed_at BEFORE INSERT OR UPDATE OF status, closed_flag, closed_at_remote, updated_at_remote, closed_at ON msp.raw_tickets FOR EACH ROW EXECUTE FUNCTION msp.set_ticket_closed_at();

ALTER TABLE ONLY msp.exports
    ADD CONSTRAINT exports_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES identity.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY msp.ingest_rejects
    ADD CONSTRAINT ingest_rejects_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES identity.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY msp.ingest_seen
    ADD CONSTRAINT ingest_seen_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES identity.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY msp.ingest_turns
    ADD CONSTRAINT ingest_turns_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES identity.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY msp.kpi_daily
    ADD CONSTRAINT kpi_daily_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES identity.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY msp.raw_csat_surveys
    ADD CONSTRAINT raw_csat_surveys_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES identity.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY msp.raw_security_alerts
    ADD CONSTRAINT raw_security_alerts_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES identity.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY msp.raw_tickets
    ADD CONSTRAINT raw_tickets_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES identity.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY msp.raw_time_entries
    ADD CONSTRAINT raw_time_entries_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES identity.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY msp.source_runs
    ADD CONSTRAINT source_runs_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES identity.tenants(id) ON DELETE CASCADE;

ALTER TABLE msp.exports ENABLE ROW LEVEL SECURITY;

ALTER TABLE msp.ingest_rejects ENABLE ROW LEVEL SECURITY;

ALTER TABLE msp.ingest_seen ENABLE ROW LEVEL SECURITY;

ALTER TABLE msp.ingest_turns ENABLE ROW LEVEL SECURITY;

ALTER TABLE msp.kpi_daily ENABLE ROW LEVEL SECURITY;

ALTER TABLE msp.raw_csat_surveys ENABLE ROW LEVEL SECURITY;

ALTER TABLE msp.raw_security_alerts ENABLE ROW LEVEL SECURITY;

ALTER TABLE msp.raw_tickets ENABLE ROW LEVEL SECURITY;

ALTER TABLE msp.raw_time_entries ENABLE ROW LEVEL SECURITY;

ALTER TABLE msp.source_runs ENABLE ROW LEVEL SECURITY;

CREATE POLICY super_reads ON msp.exports FOR SELECT TO weirgate_super USING (true);

CREATE POLICY super_reads ON msp.ingest_rejects FOR SELECT TO weirgate_super USING (true);

CREATE POLICY super_reads ON msp.kpi_daily FOR SELECT TO weirgate_super USING (true);

CREATE POLICY super_reads ON msp.raw_csat_surveys FOR SELECT TO weirgate_super USING ((deleted_at IS NULL));

CREATE POLICY super_reads ON msp.raw_security_alerts FOR SELECT TO weirgate_super USING ((deleted_at IS NULL));

CREATE POLICY super_reads ON msp.raw_tickets FOR SELECT TO weirgate_super USING ((deleted_at IS NULL));

CREATE POLICY super_reads ON msp.raw_time_entries FOR SELECT TO weirgate_super USING ((deleted_at IS NULL));

CREATE POLICY tenant_reads ON msp.exports FOR SELECT TO weirgate_tenant USING ((tenant_id = identity.current_tenant()));

CREATE POLICY tenant_reads ON msp.ingest_rejects FOR SELECT TO weirgate_tenant USING ((tenant_id = identity.current_tenant()));

CREATE POLICY tenant_reads ON msp.kpi_daily FOR SELECT TO weirgate_tenant USING ((tenant_id = identity.current_tenant()));

CREATE POLICY tenant_reads ON msp.raw_csat_surveys FOR SELECT TO weirgate_tenant USING (((tenant_id = identity.current_tenant()) AND (deleted_at IS NULL)));

CREATE POLICY tenant_reads ON msp.raw_security_alerts FOR SELECT TO weirgate_tenant USING (((tenant_id = identity.current_tenant()) AND (deleted_at IS NULL)));

CREATE POLICY tenant_reads ON msp.raw_tickets FOR SELECT TO weirgate_tenant USING (((tenant_id = identity.current_tenant()) AND (deleted_at IS NULL)));

CREATE POLICY tenant_reads ON msp.raw_time_entries FOR SELECT TO weirgate_tenant USING (((tenant_id = identity.current_tenant()) AND (deleted_at IS NULL)));

GRANT USAGE ON SCHEMA msp TO weirgate_tenant;
GRANT USAGE ON SCHEMA msp TO weirgate_super;

GRANT SELECT ON TABLE msp.exports TO weirgate_tenant;
GRANT SELECT ON TABLE msp.exports TO weirgate_super;

GRANT SELECT ON TABLE msp.ingest_rejects TO weirgate_tenant;
GRANT SELECT ON TABLE msp.ingest_rejects TO weirgate_super;

GRANT SELECT ON TABLE msp.kpi_daily TO weirgate_tenant;
GRANT SELECT ON TABLE msp.kpi_daily TO weirgate_super;

GRANT SELECT ON TABLE msp.raw_csat_surveys TO weirgate_tenant;
GRANT SELECT ON TABLE msp.raw_csat_surveys TO weirgate_super;

GRANT SELECT ON TABLE msp.raw_security_alerts TO weirgate_tenant;
GRANT SELECT ON TABLE msp.raw_security_alerts TO weirgate_super;

GRANT SELECT ON TABLE msp.raw_tickets TO weirgate_tenant;
GRANT SELECT ON TABLE msp.raw_tickets TO weirgate_super;

GRANT SELECT ON TABLE msp.raw_time_entries TO weirgate_tenant;
GRANT SELECT ON TABLE msp.raw_time_entries TO weirgate_super;

