revoke select on
    msp.raw_tickets, msp.raw_time_entries, msp.raw_csat_surveys, msp.raw_security_alerts,
    msp.ingest_rejects, msp.kpi_daily, msp.exports
from weirgate_super;
drop policy super_reads on msp.exports;
drop policy super_reads on msp.kpi_daily;
drop policy super_reads on msp.ingest_rejects;
drop policy super_reads on msp.raw_security_alerts;
drop policy super_reads on msp.raw_csat_surveys;
drop policy super_reads on msp.raw_time_entries;
drop policy super_reads on msp.raw_tickets;
revoke usage on schema msp from weirgate_super;
