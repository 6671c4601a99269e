-- Accounts without a role on the platform are nobody that the version before knows.
delete from identity.accounts a where a.password_hash is null
    or not exists (select from identity.memberships m where m.account_id = a.id and m.app = 'platform');

-- What was done by ways that the version before does not know is told as done on the dashboard.
alter table identity.audit disable trigger audit_only_added_to;
update identity.audit set via = 'dashboard' where via in ('account', 'api');
alter table identity.audit enable trigger audit_only_added_to;
alter table identity.audit drop constraint audit_via_check;
alter table identity.audit add constraint audit_via_check check (via in ('dashboard', 'internal', 'cli'));
comment on column identity.audit.via is
    'By which way: dashboard, internal (the service''s API), cli (the program''s commands)';

comment on column identity.known_browsers.user_id is 'Who has signed in';
comment on column identity.sessions.user_id is 'Whose it is';
alter table identity.sessions drop column id, drop column address, drop column user_agent;
drop view identity.users;
comment on column identity.sessions.role is
    'Role of its user at the sign-in: the session ends when that changes; null in those of before';

alter table identity.accounts add column role text check (role in ('viewer', 'operator', 'admin'));
update identity.accounts a set role = m.role,
    disabled_at = coalesce(a.disabled_at, m.disabled_at)
    from identity.memberships m where m.account_id = a.id and m.app = 'platform';
alter table identity.accounts alter column role set not null;
comment on column identity.accounts.role is
    'What they may do: viewers look, operators also act on jobs and queues, admins also set '
    'limits';

drop view identity.members;
drop table identity.memberships;

alter table identity.accounts drop column full_name, drop column locale, drop column token_epoch,
    alter column password_hash set not null;
comment on column identity.accounts.password_hash is 'Argon2id, as a PHC string';
comment on table identity.accounts is 'People who sign in to the dashboard';
alter index identity.accounts_email rename to users_email;
alter table identity.accounts rename constraint accounts_pkey to users_pkey;
alter table identity.accounts rename constraint accounts_role_check to users_role_check;
alter table identity.accounts rename to users;
