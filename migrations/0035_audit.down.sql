alter table queue.jobs drop column enqueued_by;

drop trigger audit_never_emptied on audit;
drop trigger audit_only_added_to on audit;
drop function audit_is_only_added_to();
drop policy tenant_reads on audit;
alter table audit disable row level security;

comment on column audit.detail is 'More of it, such as the filter of a bulk action';
comment on column audit.actor is 'Who did it: a user''s email, service, or an account of a host; anonymous for failed sign-ins';
comment on table audit is 'Who did what, when, to what, from where; failed sign-ins are gathered and pruned, all else is only ever added to';

drop index audit_by_time, audit_of_tenant, audit_of_actor;
alter table audit drop column tenant_id;
