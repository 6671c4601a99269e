-- Keys that expire, sessions that end with a change of role, browsers that an account is known in, and an audit that says where from.

alter table api_keys add column expires_at timestamptz;
comment on column api_keys.expires_at is 'From when on it is refused; null: never by itself';

alter table sessions add column role text;
comment on column sessions.role is 'Role of its user at the sign-in: the session ends when that changes; null in those of before';
comment on table sessions is 'Who is signed in; a session ends at sign-out, after idle time, after seven days, or with a new password or role';

create table known_browsers (
    token_hash bytea primary key,
    user_id    uuid not null references users (id) on delete cascade,
    created_at timestamptz not null default queue.now()
);

create index known_browsers_user on known_browsers (user_id, created_at);

comment on table known_browsers is 'Browsers that somebody has signed in with: failures elsewhere do not keep them from signing in there again';
comment on column known_browsers.token_hash is 'SHA-256 of what the cookie holds';
comment on column known_browsers.user_id is 'Who has signed in';
comment on column known_browsers.created_at is 'When they last signed in with it';

-- The running version before writes what was done on pages alone.
alter table audit
    add column via     text not null default 'dashboard' check (via in ('dashboard', 'internal', 'cli')),
    add column address text,
    add column times   integer not null default 1,
    add column once    text;

create unique index audit_once on audit (once) where once is not null;
create index audit_failed on audit (at) where once is not null;

comment on table audit is 'Who did what, when, to what, from where; failed sign-ins are gathered and pruned, all else is only ever added to';
comment on column audit.actor is 'Who did it: a user''s email, service, or an account of a host; anonymous for failed sign-ins';
comment on column audit.via is 'By which way: dashboard, internal (the service''s API), cli (the program''s commands)';
comment on column audit.address is 'The client''s IP address; null where there is none or it is not known';
comment on column audit.times is 'How often within the minute; more than 1 for failed sign-ins alone';
comment on column audit.once is 'What failed sign-ins are gathered by; null for all else';
