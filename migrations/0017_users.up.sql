-- People who sign in to the dashboard, and what was done there by whom.

create table users (
    id            uuid primary key,
    email         text not null,
    password_hash text not null,
    role          text not null check (role in ('viewer', 'operator', 'admin')),
    created_at    timestamptz not null default queue.now(),
    disabled_at   timestamptz
);

create unique index users_email on users (lower(email));

comment on table users is 'People who sign in to the dashboard';
comment on column users.id is 'UUIDv7';
comment on column users.email is 'What they sign in with, in any case of letters';
comment on column users.password_hash is 'Argon2id, as a PHC string';
comment on column users.role is 'What they may do: viewer looks, operator also acts on jobs and queues, admin also sets limits';
comment on column users.created_at is 'When they were made';
comment on column users.disabled_at is 'Since when they may not sign in; null while they may';

create table sessions (
    token_hash bytea primary key,
    user_id    uuid not null references users (id) on delete cascade,
    csrf       text not null,
    created_at timestamptz not null default queue.now(),
    seen_at    timestamptz not null default queue.now()
);

create index sessions_user on sessions (user_id);

comment on table sessions is 'Who is signed in; a session ends at sign-out, after idle time, or with a new password';
comment on column sessions.token_hash is 'SHA-256 of what the cookie holds';
comment on column sessions.user_id is 'Whose it is';
comment on column sessions.csrf is 'What each form of it must bring along';
comment on column sessions.created_at is 'When they signed in';
comment on column sessions.seen_at is 'Their last request, to the minute';

create table audit (
    id     bigint generated always as identity primary key,
    at     timestamptz not null default queue.now(),
    actor  text not null,
    action text not null,
    target text not null,
    detail jsonb not null default '{}'
);

comment on table audit is 'Who did what, when, to what; only ever added to';
comment on column audit.id is 'Order of what was done';
comment on column audit.at is 'When';
comment on column audit.actor is 'Email of who did it';
comment on column audit.action is 'What was done, such as job.cancel';
comment on column audit.target is 'To what: a job''s id, a queue''s name, an email';
comment on column audit.detail is 'More of it, such as the filter of a bulk action';
