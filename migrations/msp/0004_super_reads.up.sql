-- What is read for all tenants: what each tenant reads, so without the rows that their source has
-- deleted.
grant usage on schema msp to weirgate_super;

create policy super_reads on msp.raw_tickets for select to weirgate_super using (deleted_at is null);
create policy super_reads on msp.raw_time_entries for select to weirgate_super using (deleted_at is null);
create policy super_reads on msp.raw_csat_surveys for select to weirgate_super using (deleted_at is null);
create policy super_reads on msp.raw_security_alerts for select to weirgate_super using (deleted_at is null);
create policy super_reads on msp.ingest_rejects for select to weirgate_super using (true);
create policy super_reads on msp.kpi_daily for select to weirgate_super using (true);
create policy super_reads on msp.exports for select to weirgate_super using (true);

grant select on
    msp.raw_tickets, msp.raw_time_entries, msp.raw_csat_surveys, msp.raw_security_alerts,
    msp.ingest_rejects, msp.kpi_daily, msp.exports
to weirgate_super;
