-- Lists of ingested rows as walks down an index that has their whole order, and what tells that a refused API key may be a new one.

create index raw_tickets_listed on raw_tickets (tenant_id, created_at_remote, cw_ticket_id);
create index raw_time_entries_listed on raw_time_entries (tenant_id, date_worked, cw_time_entry_id);
create index raw_csat_surveys_listed on raw_csat_surveys (tenant_id, submitted_at, survey_id);
create index raw_security_alerts_listed on raw_security_alerts (tenant_id, detected_at, source, alert_id);

create table api_key_changes (
    is_only boolean primary key default true check (is_only),
    added   bigint not null default 0
);

comment on table api_key_changes is 'One row: what an API process remembers of keys that do not exist is true while it stays the same';
comment on column api_key_changes.is_only is 'Always true, so that there is one row';
comment on column api_key_changes.added is 'Counts the statements that added keys';

insert into api_key_changes default values;

create function count_added_api_keys() returns trigger language plpgsql as $$
begin
    update public.api_key_changes set added = added + 1;
    return null;
end
$$;

comment on function count_added_api_keys is 'Counts in api_key_changes, in the transaction that adds the key';

create trigger api_keys_added after insert on api_keys for each statement execute function count_added_api_keys();
