-- OAuth 2.1 for browser apps, invitations, and what tokens are given out under.

create table identity.clients (
    client_id     text primary key check (client_id ~ '^[A-Za-z0-9._-]{1,64}$' and client_id <> 'login'),
    name          text not null check (length(name) between 1 and 200),
    redirect_uris text[] not null check (cardinality(redirect_uris) between 1 and 20),
    origins       text[] not null default '{}' check (cardinality(origins) <= 20),
    created_at    timestamptz not null default queue.now(),
    disabled_at   timestamptz
);

comment on table identity.clients is
    'Browser apps that people sign in to by OAuth; they keep no secret, so that each proves by PKCE '
    'that a code is its own';
comment on column identity.clients.client_id is 'What the app calls itself; never changes';
comment on column identity.clients.name is 'Name for people, shown on the sign-in page';
comment on column identity.clients.redirect_uris is
    'Where codes may be sent, each to the letter';
comment on column identity.clients.origins is
    'From which pages scripts may ask for tokens, such as https://desk.example.com';
comment on column identity.clients.created_at is 'When it was made known';
comment on column identity.clients.disabled_at is
    'Since when it gets neither codes nor tokens; null while it does';

create table identity.grants (
    id            uuid primary key,
    account_id    uuid not null references identity.accounts(id) on delete cascade,
    membership_id uuid not null references identity.memberships(id) on delete cascade,
    client_id     text references identity.clients(client_id) on delete cascade,
    scopes        text[],
    token_epoch   integer not null,
    address       text,
    user_agent    text check (length(user_agent) <= 300),
    created_at    timestamptz not null default queue.now(),
    used_at       timestamptz not null default queue.now(),
    revoked_at    timestamptz,
    revoked_for   text
);

create index grants_account on identity.grants (account_id);
create index grants_created on identity.grants (created_at);
create index grants_membership on identity.grants (membership_id);
create index grants_client on identity.grants (client_id);

comment on table identity.grants is
    'Sign-ins that tokens are given out under: what a token calls sid. A grant ends when it is '
    'revoked, unused for 8 hours, or 30 days old';
comment on column identity.grants.id is 'UUIDv7, the sid of its tokens';
comment on column identity.grants.account_id is 'Who signed in';
comment on column identity.grants.membership_id is 'As what';
comment on column identity.grants.client_id is
    'The app that the tokens are for; null for those of /api/v1/auth/login';
comment on column identity.grants.scopes is
    'Scopes that were asked for; tokens have those of them that the role has. Null: all of the role';
comment on column identity.grants.token_epoch is 'That of the account at the sign-in';
comment on column identity.grants.address is 'Where the sign-in came from, if that is known';
comment on column identity.grants.user_agent is 'What the client called itself then';
comment on column identity.grants.created_at is 'When they signed in';
comment on column identity.grants.used_at is 'When tokens were last given out';
comment on column identity.grants.revoked_at is 'Since when its tokens are refused';
comment on column identity.grants.revoked_for is
    'Why: sign_out, refresh_token_reused, code_reused, withdrawn, too_many, or by whom';

create table identity.refresh_tokens (
    token_hash bytea primary key check (octet_length(token_hash) = 32),
    grant_id   uuid not null references identity.grants(id) on delete cascade,
    parent     bytea,
    created_at timestamptz not null default queue.now(),
    used_at    timestamptz,
    nonce      bytea,
    check ((used_at is null) = (nonce is null))
);

create index refresh_tokens_grant on identity.refresh_tokens (grant_id);
-- A token has one successor.
create unique index refresh_tokens_parent on identity.refresh_tokens (parent) where parent is not null;

comment on table identity.refresh_tokens is
    'Refresh tokens of a grant, each used once: used ones are kept as long as the grant, so that '
    'whoever uses one again gives a theft away';
comment on column identity.refresh_tokens.token_hash is 'SHA-256 of the token';
comment on column identity.refresh_tokens.grant_id is 'The sign-in that it is of';
comment on column identity.refresh_tokens.parent is
    'token_hash of the token that it took the place of; null for the first';
comment on column identity.refresh_tokens.created_at is 'When it was given out';
comment on column identity.refresh_tokens.used_at is 'When it was used; null while it is good';
comment on column identity.refresh_tokens.nonce is
    'What its successor is derived from, together with the token itself and a key of the server';

create table identity.auth_codes (
    code_hash      bytea primary key check (octet_length(code_hash) = 32),
    client_id      text not null references identity.clients(client_id) on delete cascade,
    redirect_uri   text not null,
    code_challenge text not null,
    membership_id  uuid not null references identity.memberships(id) on delete cascade,
    scopes         text[],
    token_epoch    integer not null,
    created_at     timestamptz not null default queue.now(),
    used_at        timestamptz,
    grant_id       uuid references identity.grants(id) on delete cascade
);

create index auth_codes_created on identity.auth_codes (created_at);
create index auth_codes_grant on identity.auth_codes (grant_id);
create index auth_codes_membership on identity.auth_codes (membership_id);
create index auth_codes_client on identity.auth_codes (client_id);

comment on table identity.auth_codes is
    'Authorization codes: good for 60 seconds and once; kept for a day, so that a second use is seen';
comment on column identity.auth_codes.code_hash is 'SHA-256 of the code';
comment on column identity.auth_codes.client_id is 'The app that it was given to';
comment on column identity.auth_codes.redirect_uri is 'Where it was sent; named again when it is used';
comment on column identity.auth_codes.code_challenge is
    'Of PKCE, by S256: only who knows its verifier can use the code';
comment on column identity.auth_codes.membership_id is 'As what somebody signed in';
comment on column identity.auth_codes.scopes is 'Scopes that were asked for; null: all of the role';
comment on column identity.auth_codes.token_epoch is 'That of the account at the sign-in';
comment on column identity.auth_codes.created_at is 'When it was given out';
comment on column identity.auth_codes.used_at is 'When it was used';
comment on column identity.auth_codes.grant_id is 'What it became; a second use revokes that';

create table identity.invitations (
    token_hash bytea primary key check (octet_length(token_hash) = 32),
    account_id uuid not null references identity.accounts(id) on delete cascade,
    created_by text not null,
    created_at timestamptz not null default queue.now(),
    expires_at timestamptz not null,
    used_at    timestamptz
);

create index invitations_account on identity.invitations (account_id);
create index invitations_expires on identity.invitations (expires_at);

comment on table identity.invitations is
    'Links by which somebody chooses a password, the first or another one; each is good for 72 hours '
    'and once, and a newer one ends those before';
comment on column identity.invitations.token_hash is 'SHA-256 of what the link holds';
comment on column identity.invitations.account_id is 'Who is invited';
comment on column identity.invitations.created_by is 'Who invited them, as the audit names them';
comment on column identity.invitations.created_at is 'When';
comment on column identity.invitations.expires_at is 'From when on it is refused';
comment on column identity.invitations.used_at is 'When the password was chosen';
