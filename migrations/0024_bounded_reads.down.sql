drop trigger api_keys_added on api_keys;
drop function count_added_api_keys();
drop table api_key_changes;
drop index raw_security_alerts_listed;
drop index raw_csat_surveys_listed;
drop index raw_time_entries_listed;
drop index raw_tickets_listed;
