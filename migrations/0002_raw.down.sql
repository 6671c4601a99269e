drop table ingest_rejects;
drop table raw_security_alerts;
drop table raw_csat_surveys;
drop table raw_time_entries;
drop table raw_tickets;
