-- Accounts and their memberships. Who could sign in to the dashboard before has an account with the
-- same id, password, sessions and browsers, and a membership of the platform with the same role.

alter table identity.users rename to accounts;
alter table identity.accounts rename constraint users_pkey to accounts_pkey;
alter index identity.users_email rename to accounts_email;
alter table identity.accounts
    alter column password_hash drop not null,
    add column full_name text not null default '' check (length(full_name) <= 200),
    add column locale text not null default 'en' check (locale ~ '^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$'),
    add column token_epoch integer not null default 0;

comment on table identity.accounts is
    'People who sign in, to the dashboard or to a domain; what they may do is in their memberships';
comment on column identity.accounts.password_hash is
    'Argon2id as a PHC string, or bcrypt of another system, which becomes Argon2id at the next '
    'sign-in; null while they have chosen none';
comment on column identity.accounts.full_name is 'Name for people; empty where it is not known';
comment on column identity.accounts.locale is
    'Language that they are written to in, such as fr or pt-BR (BCP 47)';
comment on column identity.accounts.token_epoch is
    'Goes up when all their tokens end at once: grants of an earlier epoch are refused';

create table identity.memberships (
    id          uuid primary key,
    account_id  uuid not null references identity.accounts(id) on delete cascade,
    tenant_id   uuid references identity.tenants(id) on delete cascade,
    app         text not null check (app ~ '^[a-z][a-z0-9_]{0,31}$'),
    role        text not null check (role ~ '^[A-Za-z][A-Za-z_]{0,31}$'),
    version     integer not null default 1,
    created_at  timestamptz not null default queue.now(),
    disabled_at timestamptz,
    constraint memberships_once unique nulls not distinct (account_id, app, tenant_id),
    constraint memberships_of_the_platform
        check (app <> 'platform' or (tenant_id is null and role in ('viewer', 'operator', 'admin')))
);

create index memberships_of_tenant on identity.memberships (tenant_id, app);

comment on table identity.memberships is
    'What accounts may do, and where; one account may have several. Which roles an app has, and '
    'which scopes a role, the program knows';
comment on column identity.memberships.id is 'UUIDv7';
comment on column identity.memberships.account_id is 'Whose it is';
comment on column identity.memberships.tenant_id is
    'The tenant that it is about; null for roles that are of no tenant, such as those of the platform';
comment on column identity.memberships.app is 'platform (the dashboard), or the name of a domain';
comment on column identity.memberships.role is 'A role of that app, such as operator';
comment on column identity.memberships.version is 'Goes up with each change';
comment on column identity.memberships.created_at is 'When it was made';
comment on column identity.memberships.disabled_at is 'Since when it counts for nothing; null while it does';

alter table identity.memberships enable row level security;
create policy tenant_reads on identity.memberships for select to weirgate_tenant
    using (tenant_id = identity.current_tenant());

insert into identity.memberships (id, account_id, app, role, created_at)
    select gen_random_uuid(), id, 'platform', role, created_at from identity.accounts;

-- The members of the tenant that a transaction reads for, and those of all tenants for the role that
-- reads all. The view has the rights of its owner, so that no role needs to see the table of accounts.
create view identity.members with (security_barrier) as
    select m.tenant_id, m.app, m.role, m.account_id, a.email, a.full_name, a.locale, m.version,
        coalesce(m.disabled_at, a.disabled_at) as disabled_at
    from identity.memberships m join identity.accounts a on a.id = m.account_id
    where m.tenant_id = identity.current_tenant() or current_user = 'weirgate_super';

comment on view identity.members is
    'The members of the tenant that the transaction reads for, for weirgate_super those of all '
    'tenants, without anything that they sign in with';
comment on column identity.members.tenant_id is 'The tenant';
comment on column identity.members.app is 'The domain that they are members in';
comment on column identity.members.role is 'Their role there';
comment on column identity.members.account_id is 'Who they are';
comment on column identity.members.email is 'What they sign in with';
comment on column identity.members.full_name is 'Name for people';
comment on column identity.members.locale is 'Language that they are written to in';
comment on column identity.members.version is 'Goes up with each change of the membership';
comment on column identity.members.disabled_at is
    'Since when the membership or the account counts for nothing';
grant select on identity.members to weirgate_tenant, weirgate_super;

-- Sessions of before that noted no role: it is what it is now.
update identity.sessions s set role = a.role from identity.accounts a where a.id = s.user_id and s.role is null;
alter table identity.accounts drop column role;

-- Hosts that are not updated yet go on signing people in and out: they find whom this calls
-- accounts as users, and sessions and browsers under the names of before.
create view identity.users as
    select a.id, a.email, a.password_hash, m.role, a.created_at, coalesce(a.disabled_at, m.disabled_at) as disabled_at
    from identity.accounts a join identity.memberships m on m.account_id = a.id and m.app = 'platform'
    where a.password_hash is not null;

comment on view identity.users is
    'Accounts with a role on the platform, as version 0.1.0 asks for them; goes with a later version';
comment on column identity.users.id is 'That of the account';
comment on column identity.users.email is 'What they sign in with';
comment on column identity.users.password_hash is 'That of the account';
comment on column identity.users.role is 'Their role on the platform';
comment on column identity.users.created_at is 'When the account was made';
comment on column identity.users.disabled_at is 'Since when the account or the role counts for nothing';

alter table identity.sessions
    add column id uuid not null default gen_random_uuid() unique,
    add column address text,
    add column user_agent text check (length(user_agent) <= 300);
comment on column identity.sessions.user_id is 'The account that is signed in';
comment on column identity.known_browsers.user_id is 'The account that has signed in';
comment on column identity.sessions.id is 'Names it on pages, where its token must not be';
comment on column identity.sessions.role is
    'Role on the platform at the sign-in, null without one: the session ends when that changes';
comment on column identity.sessions.address is 'Where the sign-in came from, if that is known';
comment on column identity.sessions.user_agent is 'What the browser called itself then';

alter table identity.audit drop constraint audit_via_check;
alter table identity.audit add constraint audit_via_check
    check (via in ('dashboard', 'internal', 'cli', 'account', 'api'));
comment on column identity.audit.via is
    'By which way: dashboard, internal (the service''s API), cli (the program''s commands), account '
    '(pages and tokens of those who sign in), api (a domain''s API)';
