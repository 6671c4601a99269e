drop table msp.raw_security_alerts;
drop table msp.raw_csat_surveys;
drop table msp.raw_time_entries;
drop table msp.raw_tickets;
drop function msp.set_ticket_closed_at();
drop function msp.ticket_closed_at(text, boolean, timestamptz, timestamptz);
drop function msp.is_newer_row(timestamptz, timestamptz, timestamptz, timestamptz, timestamptz);
revoke usage on schema msp from weirgate_tenant;
