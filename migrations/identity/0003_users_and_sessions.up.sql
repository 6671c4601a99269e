-- People who sign in to the dashboard, their sessions, and the browsers that they are known in.

create table identity.users (
    id            uuid primary key,
    email         text not null,
    password_hash text not null,
    role          text not null check (role in ('viewer', 'operator', 'admin')),
    created_at    timestamptz not null default queue.now(),
    disabled_at   timestamptz
);

create unique index users_email on identity.users (lower(email));

comment on table identity.users is 'People who sign in to the dashboard';
comment on column identity.users.id is 'UUIDv7';
comment on column identity.users.email is 'What they sign in with, in any case of letters';
comment on column identity.users.password_hash is 'Argon2id, as a PHC string';
comment on column identity.users.role is
    'What they may do: viewers look, operators also act on jobs and queues, admins also set '
    'limits';
comment on column identity.users.created_at is 'When they were made';
comment on column identity.users.disabled_at is
    'Since when they may not sign in; null while they may';

create table identity.sessions (
    token_hash bytea primary key,
    user_id    uuid not null references identity.users(id) on delete cascade,
    csrf       text not null,
    created_at timestamptz not null default queue.now(),
    seen_at    timestamptz not null default queue.now(),
    role       text
);

create index sessions_user on identity.sessions (user_id);

comment on table identity.sessions is
    'Who is signed in; a session ends at sign-out, after idle time, after seven days, or with a '
    'new password or role';
comment on column identity.sessions.token_hash is 'SHA-256 of what the cookie holds';
comment on column identity.sessions.user_id is 'Whose it is';
comment on column identity.sessions.csrf is 'What each form of it must bring along';
comment on column identity.sessions.created_at is 'When they signed in';
comment on column identity.sessions.seen_at is 'Their last request, to the minute';
comment on column identity.sessions.role is
    'Role of its user at the sign-in: the session ends when that changes; null in those of before';

create table identity.known_browsers (
    token_hash bytea primary key,
    user_id    uuid not null references identity.users(id) on delete cascade,
    created_at timestamptz not null default queue.now()
);

create index known_browsers_user on identity.known_browsers (user_id, created_at);

comment on table identity.known_browsers is
    'Browsers that somebody has signed in with: failures elsewhere do not keep them from signing '
    'in there again';
comment on column identity.known_browsers.token_hash is 'SHA-256 of what the cookie holds';
comment on column identity.known_browsers.user_id is 'Who has signed in';
comment on column identity.known_browsers.created_at is 'When they last signed in with it';
