drop index audit_failed, audit_once;
alter table audit drop column once, drop column times, drop column address, drop column via;
drop table known_browsers;
alter table sessions drop column role;
alter table api_keys drop column expires_at;
comment on table sessions is 'Who is signed in; a session ends at sign-out, after idle time, or with a new password';
comment on table audit is 'Who did what, when, to what; only ever added to';
comment on column audit.actor is 'Email of who did it';
