-- The schema identity as its migrations make it. Written by scripts/sqlx-prepare.

CREATE SCHEMA identity;

CREATE FUNCTION identity.audit_is_only_added_to() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    -- Failed sign-ins of a minute are counted in one entry, and forgotten after 30 days.
    if tg_op = 'UPDATE' and old.once is not null and new.times > old.times
        and to_jsonb(new) - 'times' = to_jsonb(old) - 'times' then
        return new;
    end if;
    if tg_op = 'DELETE' and old.once is not null and old.at <= queue.now() - interval '30 days' then
        return old;
    end if;
    raise exception 'the audit is only ever added to: % refused', lower(tg_op)
        using errcode = 'insufficient_privilege';
end
$$;

CREATE FUNCTION identity.count_added_api_keys() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    update identity.api_key_changes set added = added + 1;
    return null;
end
$$;

COMMENT ON FUNCTION identity.count_added_api_keys() IS 'Counts in api_key_changes, in the transaction that adds the key';

CREATE FUNCTION identity.current_tenant() RETURNS uuid
    LANGUAGE sql STABLE
    AS $$ select nullif(current_setting('weirgate.tenant', true), '')::uuid $$;

COMMENT ON FUNCTION identity.current_tenant() IS 'The tenant that the current transaction reads for; null where none is set, so that nothing is visible';

CREATE FUNCTION identity.keep_tenant_identity() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    raise exception 'tenant % is called % for ever: its id and its slug never change', old.id, old.slug
        using errcode = 'check_violation', constraint = 'tenants_identity', table = 'tenants',
            hint = 'Change the column name, which is for people; for another slug, make another tenant.';
end
$$;

CREATE FUNCTION identity.local_day_start(day date, time_zone text) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    AS $$
declare
    midnight constant timestamp := day;
    -- Of two midnights, `at time zone` takes the later one.
    later constant timestamptz := midnight at time zone time_zone;
    before timestamptz := later - interval '24 hours';
    -- Midnight by the offset that was in force the day before.
    earlier constant timestamptz := later + (midnight - interval '24 hours' - (before at time zone time_zone));
    after timestamptz;
    middle timestamptz;
begin
    if earlier < later and (earlier at time zone time_zone) = midnight then
        return earlier;
    end if;
    if (later at time zone time_zone) = midnight then
        return later;
    end if;
    -- The clock skips midnight. The day begins at the instant of the jump, which is found by
    -- halving.
    before := midnight at time zone 'UTC' - interval '2 days';
    after := midnight at time zone 'UTC' + interval '2 days';
    while after - before > interval '1 microsecond' loop
        middle := before + (after - before) / 2;
        if (middle at time zone time_zone) < midnight then
            before := middle;
        else
            after := middle;
        end if;
    end loop;
    return after;
end
$$;

COMMENT ON FUNCTION identity.local_day_start(day date, time_zone text) IS 'The first instant of a day in a time zone. A day ends where the next one starts, so that every instant is of exactly one day: the one that (instant at time zone zone)::date names. Days may lack midnight, or have two of them.';

CREATE FUNCTION identity.refuse_unknown_time_zones() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
    wrong record;
begin
    if TG_OP = 'INSERT' then
        select slug, time_zone into wrong from new_rows
        where time_zone <> 'UTC' and time_zone not in (select name from identity.time_zones) limit 1;
    else
        with changed as materialized (
            select n.slug, n.time_zone from new_rows n join old_rows o using (id) where n.time_zone <> o.time_zone
        )
        select slug, time_zone into wrong from changed
        where time_zone <> 'UTC' and time_zone not in (select name from identity.time_zones) limit 1;
    end if;
    if found then
        raise exception 'tenant %, time_zone: no IANA time zone "%"; such as Europe/Berlin or UTC',
            wrong.slug, wrong.time_zone
            using errcode = 'check_violation', schema = 'identity', table = 'tenants', column = 'time_zone',
                constraint = 'tenants_time_zone_is_known';
    end if;
    return null;
end
$$;

COMMENT ON FUNCTION identity.refuse_unknown_time_zones() IS 'Refuses tenants whose time zone is not in time_zones';

CREATE TABLE identity.accounts (
    id uuid NOT NULL,
    email text NOT NULL,
    password_hash text,
    created_at timestamp with time zone DEFAULT queue.now() NOT NULL,
    disabled_at timestamp with time zone,
    full_name text DEFAULT ''::text NOT NULL,
    locale text DEFAULT 'en'::text NOT NULL,
    token_epoch integer DEFAULT 0 NOT NULL,
    CONSTRAINT accounts_full_name_check CHECK ((length(full_name) <= 200)),
    CONSTRAINT accounts_locale_check CHECK ((locale ~ '^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$'::text))
);

COMMENT ON TABLE identity.accounts IS 'People who sign in, to the dashboard or to a domain; what they may do is in their memberships';

COMMENT ON COLUMN identity.accounts.id IS 'UUIDv7';

COMMENT ON COLUMN identity.accounts.email IS 'What they sign in with, in any case of letters';

COMMENT ON COLUMN identity.accounts.password_hash IS 'Argon2id as a PHC string, or bcrypt of another system, which becomes Argon2id at the next sign-in; null while they have chosen none';

COMMENT ON COLUMN identity.accounts.created_at IS 'When they were made';

COMMENT ON COLUMN identity.accounts.disabled_at IS 'Since when they may not sign in; null while they may';

COMMENT ON COLUMN identity.accounts.full_name IS 'Name for people; empty where it is not known';

COMMENT ON COLUMN identity.accounts.locale IS 'Language that they are written to in, such as fr or pt-BR (BCP 47)';

COMMENT ON COLUMN identity.accounts.token_epoch IS 'Goes up when all their tokens end at once: grants of an earlier epoch are refused';

CREATE TABLE identity.api_key_changes (
    only_row boolean DEFAULT true NOT NULL,
    added bigint DEFAULT 0 NOT NULL,
    CONSTRAINT api_key_changes_only_row_check CHECK (only_row)
);

COMMENT ON TABLE identity.api_key_changes IS 'One row: as long as it stays the same, no key was added, and what an API process remembers of keys that do not exist is true';

COMMENT ON COLUMN identity.api_key_changes.only_row IS 'Always true, so that there is one row';

COMMENT ON COLUMN identity.api_key_changes.added IS 'Counts the statements that added keys';

CREATE TABLE identity.api_keys (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    prefix text NOT NULL,
    key_hash bytea NOT NULL,
    name text NOT NULL,
    is_active boolean DEFAULT true NOT NULL,
    last_used_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    scopes text[],
    CONSTRAINT api_keys_key_hash_check CHECK ((octet_length(key_hash) = 32))
);

COMMENT ON TABLE identity.api_keys IS 'Keys with which tenants call /v1';

COMMENT ON COLUMN identity.api_keys.tenant_id IS 'Whose key it is';

COMMENT ON COLUMN identity.api_keys.id IS 'Permanent id of the key';

COMMENT ON COLUMN identity.api_keys.prefix IS 'Visible beginning of the key, by which it is looked up';

COMMENT ON COLUMN identity.api_keys.key_hash IS 'SHA-256 of the whole key; the key itself is not kept';

COMMENT ON COLUMN identity.api_keys.name IS 'What the key is for';

COMMENT ON COLUMN identity.api_keys.is_active IS 'False once revoked';

COMMENT ON COLUMN identity.api_keys.last_used_at IS 'Last request with this key, kept to the minute';

COMMENT ON COLUMN identity.api_keys.created_at IS 'When the key was made';

COMMENT ON COLUMN identity.api_keys.expires_at IS 'From when on it is refused; null: never by itself';

COMMENT ON COLUMN identity.api_keys.scopes IS 'Names of the scopes that the key has, as the domains bring them; null: it was given none, and has those that keys had before there were scopes';

CREATE TABLE identity.audit (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT queue.now() NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    via text DEFAULT 'dashboard'::text NOT NULL,
    address text,
    times integer DEFAULT 1 NOT NULL,
    once text,
    tenant_id uuid,
    CONSTRAINT audit_via_check CHECK ((via = ANY (ARRAY['dashboard'::text, 'internal'::text, 'cli'::text, 'account'::text, 'api'::text])))
);

COMMENT ON TABLE identity.audit IS 'Who did what, when, to what, from where, and what it was before; failed sign-ins are gathered and pruned, all else is only ever added to';

COMMENT ON COLUMN identity.audit.id IS 'Order of what was done';

COMMENT ON COLUMN identity.audit.at IS 'When';

COMMENT ON COLUMN identity.audit.actor IS 'Who did it: a user''s email, the service''s token with the beginning of its SHA-256, or an account of a host; anonymous for failed sign-ins';

COMMENT ON COLUMN identity.audit.action IS 'What was done, such as job.cancel';

COMMENT ON COLUMN identity.audit.target IS 'To what: a job''s id, a queue''s name, an email';

COMMENT ON COLUMN identity.audit.detail IS 'How it was ("before") and is ("after"), as far as that differs or was asked for, and more of it';

COMMENT ON COLUMN identity.audit.via IS 'By which way: dashboard, internal (the service''s API), cli (the program''s commands), account (pages and tokens of those who sign in), api (a domain''s API)';

COMMENT ON COLUMN identity.audit.address IS 'The client''s IP address; null where there is none or it is not known';

COMMENT ON COLUMN identity.audit.times IS 'How often within the minute; more than 1 for failed sign-ins alone';

COMMENT ON COLUMN identity.audit.once IS 'What failed sign-ins are gathered by; null for all else';

COMMENT ON COLUMN identity.audit.tenant_id IS 'The tenant that it concerns; null where that is none or several';

ALTER TABLE identity.audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME identity.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE identity.auth_codes (
    code_hash bytea NOT NULL,
    client_id text NOT NULL,
    redirect_uri text NOT NULL,
    code_challenge text NOT NULL,
    membership_id uuid NOT NULL,
    scopes text[],
    token_epoch integer NOT NULL,
    created_at timestamp with time zone DEFAULT queue.now() NOT NULL,
    used_at timestamp with time zone,
    grant_id uuid,
    CONSTRAINT auth_codes_code_hash_check CHECK ((octet_length(code_hash) = 32))
);

COMMENT ON TABLE identity.auth_codes IS 'Authorization codes: good for 60 seconds and once; kept for a day, so that a second use is seen';

COMMENT ON COLUMN identity.auth_codes.code_hash IS 'SHA-256 of the code';

COMMENT ON COLUMN identity.auth_codes.client_id IS 'The app that it was given to';

COMMENT ON COLUMN identity.auth_codes.redirect_uri IS 'Where it was sent; named again when it is used';

COMMENT ON COLUMN identity.auth_codes.code_challenge IS 'Of PKCE, by S256: only who knows its verifier can use the code';

COMMENT ON COLUMN identity.auth_codes.membership_id IS 'As what somebody signed in';

COMMENT ON COLUMN identity.auth_codes.scopes IS 'Scopes that were asked for; null: all of the role';

COMMENT ON COLUMN identity.auth_codes.token_epoch IS 'That of the account at the sign-in';

COMMENT ON COLUMN identity.auth_codes.created_at IS 'When it was given out';

COMMENT ON COLUMN identity.auth_codes.used_at IS 'When it was used';

COMMENT ON COLUMN identity.auth_codes.grant_id IS 'What it became; a second use revokes that';

CREATE TABLE identity.clients (
    client_id text NOT NULL,
    name text NOT NULL,
    redirect_uris text[] NOT NULL,
    origins text[] DEFAULT '{}'::text[] NOT NULL,
    created_at timestamp with time zone DEFAULT queue.now() NOT NULL,
    disabled_at timestamp with time zone,
    CONSTRAINT clients_client_id_check CHECK (((client_id ~ '^[A-Za-z0-9._-]{1,64}$'::text) AND (client_id <> 'login'::text))),
    CONSTRAINT clients_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT clients_origins_check CHECK ((cardinality(origins) <= 20)),
    CONSTRAINT clients_redirect_uris_check CHECK (((cardinality(redirect_uris) >= 1) AND (cardinality(redirect_uris) <= 20)))
);

COMMENT ON TABLE identity.clients IS 'Browser apps that people sign in to by OAuth; they keep no secret, so that each proves by PKCE that a code is its own';

COMMENT ON COLUMN identity.clients.client_id IS 'What the app calls itself; never changes';

COMMENT ON COLUMN identity.clients.name IS 'Name for people, shown on the sign-in page';

COMMENT ON COLUMN identity.clients.redirect_uris IS 'Where codes may be sent, each to the letter';

COMMENT ON COLUMN identity.clients.origins IS 'From which pages scripts may ask for tokens, such as https://desk.example.com';

COMMENT ON COLUMN identity.clients.created_at IS 'When it was made known';

COMMENT ON COLUMN identity.clients.disabled_at IS 'Since when it gets neither codes nor tokens; null while it does';

CREATE TABLE identity.grants (
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    membership_id uuid NOT NULL,
    client_id text,
    scopes text[],
    token_epoch integer NOT NULL,
    address text,
    user_agent text,
    created_at timestamp with time zone DEFAULT queue.now() NOT NULL,
    used_at timestamp with time zone DEFAULT queue.now() NOT NULL,
    revoked_at timestamp with time zone,
    revoked_for text,
    CONSTRAINT grants_user_agent_check CHECK ((length(user_agent) <= 300))
);

COMMENT ON TABLE identity.grants IS 'Sign-ins that tokens are given out under: what a token calls sid. A grant ends when it is revoked, unused for 8 hours, or 30 days old';

COMMENT ON COLUMN identity.grants.id IS 'UUIDv7, the sid of its tokens';

COMMENT ON COLUMN identity.grants.account_id IS 'Who signed in';

COMMENT ON COLUMN identity.grants.membership_id IS 'As what';

COMMENT ON COLUMN identity.grants.client_id IS 'The app that the tokens are for; null for those of /api/v1/auth/login';

COMMENT ON COLUMN identity.grants.scopes IS 'Scopes that were asked for; tokens have those of them that the role has. Null: all of the role';

COMMENT ON COLUMN identity.grants.token_epoch IS 'That of the account at the sign-in';

COMMENT ON COLUMN identity.grants.address IS 'Where the sign-in came from, if that is known';

COMMENT ON COLUMN identity.grants.user_agent IS 'What the client called itself then';

COMMENT ON COLUMN identity.grants.created_at IS 'When they signed in';

COMMENT ON COLUMN identity.grants.used_at IS 'When tokens were last given out';

COMMENT ON COLUMN identity.grants.revoked_at IS 'Since when its tokens are refused';

COMMENT ON COLUMN identity.grants.revoked_for IS 'Why: sign_out, refresh_token_reused, code_reused, withdrawn, too_many, or by whom';

CREATE TABLE identity.idempotency_keys (
    key text NOT NULL,
    request_hash bytea NOT NULL,
    job_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    made uuid[],
    caller text DEFAULT 'service'::text NOT NULL
);

COMMENT ON TABLE identity.idempotency_keys IS 'Requests that named an Idempotency-Key, kept for 24 hours';

COMMENT ON COLUMN identity.idempotency_keys.key IS 'The key as the caller sent it; of callers other than the service after the caller and a space, which no key has';

COMMENT ON COLUMN identity.idempotency_keys.request_hash IS 'SHA-256 of method, path, query and body';

COMMENT ON COLUMN identity.idempotency_keys.job_id IS 'The job, backfill, tenant or API key that the first request made; nil where it did something to one that was there. Of an API key the id alone: no secret is kept';

COMMENT ON COLUMN identity.idempotency_keys.created_at IS 'When the first request came';

COMMENT ON COLUMN identity.idempotency_keys.made IS 'What else the first request made, where that is more than one: the jobs of a schedule that was run; null for all else';

COMMENT ON COLUMN identity.idempotency_keys.caller IS 'Who sent the key: service, key:ID for an API key, account:ID:TENANT for an account that acts for a tenant';

CREATE TABLE identity.invitations (
    token_hash bytea NOT NULL,
    account_id uuid NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT queue.now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    CONSTRAINT invitations_token_hash_check CHECK ((octet_length(token_hash) = 32))
);

COMMENT ON TABLE identity.invitations IS 'Links by which somebody chooses a password, the first or another one; each is good for 72 hours and once, and a newer one ends those before';

COMMENT ON COLUMN identity.invitations.token_hash IS 'SHA-256 of what the link holds';

COMMENT ON COLUMN identity.invitations.account_id IS 'Who is invited';

COMMENT ON COLUMN identity.invitations.created_by IS 'Who invited them, as the audit names them';

COMMENT ON COLUMN identity.invitations.created_at IS 'When';

COMMENT ON COLUMN identity.invitations.expires_at IS 'From when on it is refused';

COMMENT ON COLUMN identity.invitations.used_at IS 'When the password was chosen';

CREATE TABLE identity.known_browsers (
    token_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT queue.now() NOT NULL
);

COMMENT ON TABLE identity.known_browsers IS 'Browsers that somebody has signed in with: failures elsewhere do not keep them from signing in there again';

COMMENT ON COLUMN identity.known_browsers.token_hash IS 'SHA-256 of what the cookie holds';

COMMENT ON COLUMN identity.known_browsers.user_id IS 'The account that has signed in';

COMMENT ON COLUMN identity.known_browsers.created_at IS 'When they last signed in with it';

CREATE TABLE identity.memberships (
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    tenant_id uuid,
    app text NOT NULL,
    role text NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT queue.now() NOT NULL,
    disabled_at timestamp with time zone,
    CONSTRAINT memberships_app_check CHECK ((app ~ '^[a-z][a-z0-9_]{0,31}$'::text)),
    CONSTRAINT memberships_of_the_platform CHECK (((app <> 'platform'::text) OR ((tenant_id IS NULL) AND (role = ANY (ARRAY['viewer'::text, 'operator'::text, 'admin'::text]))))),
    CONSTRAINT memberships_role_check CHECK ((role ~ '^[A-Za-z][A-Za-z_]{0,31}$'::text))
);

COMMENT ON TABLE identity.memberships IS 'What accounts may do, and where; one account may have several. Which roles an app has, and which scopes a role, the program knows';

COMMENT ON COLUMN identity.memberships.id IS 'UUIDv7';

COMMENT ON COLUMN identity.memberships.account_id IS 'Whose it is';

COMMENT ON COLUMN identity.memberships.tenant_id IS 'The tenant that it is about; null for roles that are of no tenant, such as those of the platform';

COMMENT ON COLUMN identity.memberships.app IS 'platform (the dashboard), or the name of a domain';

COMMENT ON COLUMN identity.memberships.role IS 'A role of that app, such as operator';

COMMENT ON COLUMN identity.memberships.version IS 'Goes up with each change';

COMMENT ON COLUMN identity.memberships.created_at IS 'When it was made';

COMMENT ON COLUMN identity.memberships.disabled_at IS 'Since when it counts for nothing; null while it does';

CREATE VIEW identity.members WITH (security_barrier='true') AS
 SELECT m.tenant_id,
    m.app,
    m.role,
    m.account_id,
    a.email,
    a.full_name,
    a.locale,
    m.version,
    COALESCE(m.disabled_at, a.disabled_at) AS disabled_at
   FROM (identity.memberships m
     JOIN identity.accounts a ON ((a.id = m.account_id)))
  WHERE ((m.tenant_id = identity.current_tenant()) OR (CURRENT_USER = 'weirgate_super'::name));

COMMENT ON VIEW identity.members IS 'The members of the tenant that the transaction reads for, for weirgate_super those of all tenants, without anything that they sign in with';

COMMENT ON COLUMN identity.members.tenant_id IS 'The tenant';

COMMENT ON COLUMN identity.members.app IS 'The domain that they are members in';

COMMENT ON COLUMN identity.members.role IS 'Their role there';

COMMENT ON COLUMN identity.members.account_id IS 'Who they are';

COMMENT ON COLUMN identity.members.email IS 'What they sign in with';

COMMENT ON COLUMN identity.members.full_name IS 'Name for people';

COMMENT ON COLUMN identity.members.locale IS 'Language that they are written to in';

COMMENT ON COLUMN identity.members.version IS 'Goes up with each change of the membership';

COMMENT ON COLUMN identity.members.disabled_at IS 'Since when the membership or the account counts for nothing';

CREATE TABLE identity.refresh_tokens (
    token_hash bytea NOT NULL,
    grant_id uuid NOT NULL,
    parent bytea,
    created_at timestamp with time zone DEFAULT queue.now() NOT NULL,
    used_at timestamp with time zone,
    nonce bytea,
    CONSTRAINT refresh_tokens_check CHECK (((used_at IS NULL) = (nonce IS NULL))),
    CONSTRAINT refresh_tokens_token_hash_check CHECK ((octet_length(token_hash) = 32))
);

COMMENT ON TABLE identity.refresh_tokens IS 'Refresh tokens of a grant, each used once: used ones are kept as long as the grant, so that whoever uses one again gives a theft away';

COMMENT ON COLUMN identity.refresh_tokens.token_hash IS 'SHA-256 of the token';

COMMENT ON COLUMN identity.refresh_tokens.grant_id IS 'The sign-in that it is of';

COMMENT ON COLUMN identity.refresh_tokens.parent IS 'token_hash of the token that it took the place of; null for the first';

COMMENT ON COLUMN identity.refresh_tokens.created_at IS 'When it was given out';

COMMENT ON COLUMN identity.refresh_tokens.used_at IS 'When it was used; null while it is good';

COMMENT ON COLUMN identity.refresh_tokens.nonce IS 'What its successor is derived from, together with the token itself and a key of the server';

CREATE TABLE identity.sessions (
    token_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    csrf text NOT NULL,
    created_at timestamp with time zone DEFAULT queue.now() NOT NULL,
    seen_at timestamp with time zone DEFAULT queue.now() NOT NULL,
    role text,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    address text,
    user_agent text,
    CONSTRAINT sessions_user_agent_check CHECK ((length(user_agent) <= 300))
);

COMMENT ON TABLE identity.sessions IS 'Who is signed in; a session ends at sign-out, after idle time, after seven days, or with a new password or role';

COMMENT ON COLUMN identity.sessions.token_hash IS 'SHA-256 of what the cookie holds';

COMMENT ON COLUMN identity.sessions.user_id IS 'The account that is signed in';

COMMENT ON COLUMN identity.sessions.csrf IS 'What each form of it must bring along';

COMMENT ON COLUMN identity.sessions.created_at IS 'When they signed in';

COMMENT ON COLUMN identity.sessions.seen_at IS 'Their last request, to the minute';

COMMENT ON COLUMN identity.sessions.role IS 'Role on the platform at the sign-in, null without one: the session ends when that changes';

COMMENT ON COLUMN identity.sessions.id IS 'Names it on pages, where its token must not be';

COMMENT ON COLUMN identity.sessions.address IS 'Where the sign-in came from, if that is known';

COMMENT ON COLUMN identity.sessions.user_agent IS 'What the browser called itself then';

CREATE TABLE identity.signing_keys (
    kid text NOT NULL,
    public_jwk jsonb NOT NULL,
    private_sealed bytea,
    not_before timestamp with time zone NOT NULL,
    signs_until timestamp with time zone NOT NULL,
    verifies_until timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT queue.now() NOT NULL,
    CONSTRAINT signing_keys_ends_in_order CHECK (((not_before <= signs_until) AND (signs_until <= verifies_until)))
);

COMMENT ON TABLE identity.signing_keys IS 'Ed25519 keys that access tokens are signed with: the one that signs now, the next one, and those of before that still verify';

COMMENT ON COLUMN identity.signing_keys.kid IS 'What tokens call it: the SHA-256 thumbprint of its public half (RFC 7638)';

COMMENT ON COLUMN identity.signing_keys.public_jwk IS 'Its public half as a JWK (RFC 8037), as /.well-known/jwks.json shows it';

COMMENT ON COLUMN identity.signing_keys.private_sealed IS 'Its private half, sealed with WEIRGATE_SECRET_KEY; null once it signs no longer';

COMMENT ON COLUMN identity.signing_keys.not_before IS 'From when on it signs';

COMMENT ON COLUMN identity.signing_keys.signs_until IS 'From when on it signs no longer';

COMMENT ON COLUMN identity.signing_keys.verifies_until IS 'From when on its tokens are refused: the last of them has ended by then';

COMMENT ON COLUMN identity.signing_keys.revoked_at IS 'Since when its tokens are refused before that; null where it was not revoked';

COMMENT ON COLUMN identity.signing_keys.created_at IS 'When it was made';

CREATE TABLE identity.tenants (
    id uuid NOT NULL,
    slug text NOT NULL,
    name text NOT NULL,
    is_active boolean DEFAULT true NOT NULL,
    llm_enabled boolean DEFAULT false NOT NULL,
    time_zone text DEFAULT 'UTC'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT tenants_are_not_the_system CHECK (((id <> '00000000-0000-0000-0000-000000000000'::uuid) AND (slug <> 'system'::text))),
    CONSTRAINT tenants_slug_check CHECK ((slug ~ '^[A-Za-z0-9_-]{1,64}$'::text))
);

COMMENT ON TABLE identity.tenants IS 'The customers whose data is ingested';

COMMENT ON COLUMN identity.tenants.id IS 'Permanent id of the tenant';

COMMENT ON COLUMN identity.tenants.slug IS 'Name in URLs and of the files of its sources, such as tenant_demo_cca; never changes';

COMMENT ON COLUMN identity.tenants.name IS 'Name for people';

COMMENT ON COLUMN identity.tenants.is_active IS 'Inactive tenants keep their data, but no job is accepted for them';

COMMENT ON COLUMN identity.tenants.llm_enabled IS 'Whether the tenant allows language models on its data';

COMMENT ON COLUMN identity.tenants.time_zone IS 'Name of an IANA time zone in its only spelling; where the tenant''s days begin and end';

COMMENT ON COLUMN identity.tenants.created_at IS 'When the tenant was made';

CREATE VIEW identity.time_zones AS
 SELECT pg_timezone_names.name
   FROM pg_timezone_names
  WHERE ((pg_timezone_names.name !~ '^(posix|right)/'::text) AND (pg_timezone_names.name <> ALL (ARRAY['localtime'::text, 'posixrules'::text, 'Factory'::text])));

COMMENT ON VIEW identity.time_zones IS 'The names of the IANA database, as far as the server has them. The server reads them from disk: join the view, but never for each row';

COMMENT ON COLUMN identity.time_zones.name IS 'A name such as Europe/Berlin, in its only spelling';

CREATE VIEW identity.users AS
 SELECT a.id,
    a.email,
    a.password_hash,
    m.role,
    a.created_at,
    COALESCE(a.disabled_at, m.disabled_at) AS disabled_at
   FROM (identity.accounts a
     JOIN identity.memberships m ON (((m.account_id = a.id) AND (m.app = 'platform'::text))))
  WHERE (a.password_hash IS NOT NULL);

COMMENT ON VIEW identity.users IS 'Accounts with a role on the platform, as version 0.1.0 asks for them; goes with a later version';

COMMENT ON COLUMN identity.users.id IS 'That of the account';

COMMENT ON COLUMN identity.users.email IS 'What they sign in with';

COMMENT ON COLUMN identity.users.password_hash IS 'That of the account';

COMMENT ON COLUMN identity.users.role IS 'Their role on the platform';

COMMENT ON COLUMN identity.users.created_at IS 'When the account was made';

COMMENT ON COLUMN identity.users.disabled_at IS 'Since when the account or the role counts for nothing';

ALTER TABLE ONLY identity.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY identity.api_key_changes
    ADD CONSTRAINT api_key_changes_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY identity.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (tenant_id, id);

ALTER TABLE ONLY identity.api_keys
    ADD CONSTRAINT api_keys_prefix_key UNIQUE (prefix);

ALTER TABLE ONLY identity.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);

ALTER TABLE ONLY identity.auth_codes
    ADD CONSTRAINT auth_codes_pkey PRIMARY KEY (code_hash);

ALTER TABLE ONLY identity.clients
    ADD CONSTRAINT clients_pkey PRIMARY KEY (client_id);

ALTER TABLE ONLY identity.grants
    ADD CONSTRAINT grants_pkey PRIMARY KEY (id);

ALTER TABLE ONLY identity.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (key);

ALTER TABLE ONLY identity.invitations
    ADD CONSTRAINT invitations_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY identity.known_browsers
    ADD CONSTRAINT known_browsers_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY identity.memberships
    ADD CONSTRAINT memberships_once UNIQUE NULLS NOT DISTINCT (account_id, app, tenant_id);

ALTER TABLE ONLY identity.memberships
    ADD CONSTRAINT memberships_pkey PRIMARY KEY (id);

ALTER TABLE ONLY identity.refresh_tokens
    ADD CONSTRAINT refresh_tokens_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY identity.sessions
    ADD CONSTRAINT sessions_id_key UNIQUE (id);

ALTER TABLE ONLY identity.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY identity.signing_keys
    ADD CONSTRAINT signing_keys_pkey PRIMARY KEY (kid);

ALTER TABLE ONLY identity.tenants
    ADD CONSTRAINT tenants_pkey PRIMARY KEY (id);

ALTER TABLE identity.tenants
    ADD CONSTRAINT tenants_slug_is_no_id CHECK ((slug !~* '^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$'::text)) NOT VALID;

ALTER TABLE ONLY identity.tenants
    ADD CONSTRAINT tenants_slug_key UNIQUE (slug);

CREATE UNIQUE INDEX accounts_email ON identity.accounts USING btree (lower(email));

CREATE INDEX audit_by_time ON identity.audit USING btree (at);

CREATE INDEX audit_failed ON identity.audit USING btree (at) WHERE (once IS NOT NULL);

CREATE INDEX audit_of_actor ON identity.audit USING btree (lower(actor), id);

CREATE INDEX audit_of_target ON identity.audit USING btree (target, id);

CREATE INDEX audit_of_tenant ON identity.audit USING btree (tenant_id, id) WHERE (tenant_id IS NOT NULL);

CREATE UNIQUE INDEX audit_once ON identity.audit USING btree (once) WHERE (once IS NOT NULL);

CREATE INDEX auth_codes_client ON identity.auth_codes USING btree (client_id);

CREATE INDEX auth_codes_created ON identity.auth_codes USING btree (created_at);

CREATE INDEX auth_codes_grant ON identity.auth_codes USING btree (grant_id);

CREATE INDEX auth_codes_membership ON identity.auth_codes USING btree (membership_id);

CREATE INDEX grants_account ON identity.grants USING btree (account_id);

CREATE INDEX grants_client ON identity.grants USING btree (client_id);

CREATE INDEX grants_created ON identity.grants USING btree (created_at);

CREATE INDEX grants_membership ON identity.grants USING btree (membership_id);

CREATE INDEX idempotency_keys_created ON identity.idempotency_keys USING btree (created_at);

CREATE INDEX invitations_account ON identity.invitations USING btree (account_id);

CREATE INDEX invitations_expires ON identity.invitations USING btree (expires_at);

CREATE INDEX known_browsers_user ON identity.known_browsers USING btree (user_id, created_at);

CREATE INDEX memberships_of_tenant ON identity.memberships USING btree (tenant_id, app);

CREATE INDEX refresh_tokens_grant ON identity.refresh_tokens USING btree (grant_id);

CREATE UNIQUE INDEX refresh_tokens_parent ON identity.refresh_tokens USING btree (parent) WHERE (parent IS NOT NULL);

CREATE INDEX sessions_user ON identity.sessions USING btree (user_id);

CREATE TRIGGER api_keys_added AFTER INSERT ON identity.api_keys FOR EACH STATEMENT EXECUTE FUNCTION identity.count_added_api_keys();

CREATE TRIGGER audit_never_emptied BEFORE TRUNCATE ON identity.audit FOR EACH STATEMENT EXECUTE FUNCTION identity.audit_is_only_added_to();

CREATE TRIGGER audit_only_added_to BEFORE DELETE OR UPDATE ON identity.audit FOR EACH ROW EXECUTE FUNCTION identity.audit_is_only_added_to();

CREATE TRIGGER keep_identity BEFORE UPDATE OF id, slug ON identity.tenants FOR EACH ROW WHEN (((old.id IS DISTINCT FROM new.id) OR (old.slug IS DISTINCT FROM new.slug))) EXECUTE FUNCTION identity.keep_tenant_identity();

CREATE TRIGGER tenants_time_zone_is_known_insert AFTER INSERT ON identity.tenants REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION identity.refuse_unknown_time_zones();

CREATE TRIGGER tenants_time_zone_is_known_update AFTER UPDATE ON identity.tenants REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION identity.refuse_unknown_time_zones();

ALTER TABLE ONLY identity.api_keys
    ADD CONSTRAINT api_keys_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES identity.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY identity.auth_codes
    ADD CONSTRAINT auth_codes_client_id_fkey FOREIGN KEY (client_id) REFERENCES identity.clients(client_id) ON DELETE CASCADE;

ALTER TABLE ONLY identity.auth_codes
    ADD CONSTRAINT auth_codes_grant_id_fkey FOREIGN KEY (grant_id) REFERENCES identity.grants(id) ON DELETE CASCADE;

ALTER TABLE ONLY identity.auth_codes
    ADD CONSTRAINT auth_codes_membership_id_fkey FOREIGN KEY (membership_id) REFERENCES identity.memberships(id) ON DELETE CASCADE;

ALTER TABLE ONLY identity.grants
    ADD CONSTRAINT grants_account_id_fkey FOREIGN KEY (account_id) REFERENCES identity.accounts(id) ON DELETE CASCADE;

ALTER TABLE ONLY identity.grants
    ADD CONSTRAINT grants_client_id_fkey FOREIGN KEY (client_id) REFERENCES identity.clients(client_id) ON DELETE CASCADE;

ALTER TABLE ONLY identity.grants
    ADD CONSTRAINT grants_membership_id_fkey FOREIGN KEY (membership_id) REFERENCES identity.memberships(id) ON DELETE CASCADE;

ALTER TABLE ONLY identity.invitations
    ADD CONSTRAINT invitations_account_id_fkey FOREIGN KEY (account_id) REFERENCES identity.accounts(id) ON DELETE CASCADE;

ALTER TABLE ONLY identity.known_browsers
    ADD CONSTRAINT known_browsers_user_id_fkey FOREIGN KEY (user_id) REFERENCES identity.accounts(id) ON DELETE CASCADE;

ALTER TABLE ONLY identity.memberships
    ADD CONSTRAINT memberships_account_id_fkey FOREIGN KEY (account_id) REFERENCES identity.accounts(id) ON DELETE CASCADE;

ALTER TABLE ONLY identity.memberships
    ADD CONSTRAINT memberships_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES identity.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY identity.refresh_tokens
    ADD CONSTRAINT refresh_tokens_grant_id_fkey FOREIGN KEY (grant_id) REFERENCES identity.grants(id) ON DELETE CASCADE;

ALTER TABLE ONLY identity.sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES identity.accounts(id) ON DELETE CASCADE;

ALTER TABLE identity.api_keys ENABLE ROW LEVEL SECURITY;

ALTER TABLE identity.audit ENABLE ROW LEVEL SECURITY;

CREATE POLICY desk_reads ON identity.tenants FOR SELECT TO weirgate_desk USING ((id = identity.current_tenant()));

ALTER TABLE identity.memberships ENABLE ROW LEVEL SECURITY;

CREATE POLICY super_reads ON identity.tenants FOR SELECT TO weirgate_super USING (true);

CREATE POLICY tenant_reads ON identity.api_keys FOR SELECT TO weirgate_tenant USING ((tenant_id = identity.current_tenant()));

CREATE POLICY tenant_reads ON identity.audit FOR SELECT TO weirgate_tenant USING ((tenant_id = identity.current_tenant()));

CREATE POLICY tenant_reads ON identity.memberships FOR SELECT TO weirgate_tenant USING ((tenant_id = identity.current_tenant()));

CREATE POLICY tenant_reads ON identity.tenants FOR SELECT TO weirgate_tenant USING ((id = identity.current_tenant()));

ALTER TABLE identity.tenants ENABLE ROW LEVEL SECURITY;

GRANT USAGE ON SCHEMA identity TO weirgate_tenant;
GRANT USAGE ON SCHEMA identity TO weirgate_desk;
GRANT USAGE ON SCHEMA identity TO weirgate_super;

GRANT SELECT ON TABLE identity.members TO weirgate_tenant;
GRANT SELECT ON TABLE identity.members TO weirgate_super;

GRANT SELECT ON TABLE identity.tenants TO weirgate_tenant;
GRANT SELECT ON TABLE identity.tenants TO weirgate_desk;
GRANT SELECT ON TABLE identity.tenants TO weirgate_super;

