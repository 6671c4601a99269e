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
    CONSTRAINT audit_via_check CHECK ((via = ANY (ARRAY['dashboard'::text, 'internal'::text, 'cli'::text])))
);

COMMENT ON TABLE identity.audit IS 'Who did what, when, to what, from where, and what it was before; failed sign-ins are gathered and pruned, all else is only ever added to';

COMMENT ON COLUMN identity.audit.id IS 'Order of what was done';

COMMENT ON COLUMN identity.audit.at IS 'When';

COMMENT ON COLUMN identity.audit.actor IS 'Who did it: a user''s email, the service''s token with the beginning of its SHA-256, or an account of a host; anonymous for failed sign-ins';

COMMENT ON COLUMN identity.audit.action IS 'What was done, such as job.cancel';

COMMENT ON COLUMN identity.audit.target IS 'To what: a job''s id, a queue''s name, an email';

COMMENT ON COLUMN identity.audit.detail IS 'How it was ("before") and is ("after"), as far as that differs or was asked for, and more of it';

COMMENT ON COLUMN identity.audit.via IS 'By which way: dashboard, internal (the service''s API), cli (the program''s commands)';

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

CREATE TABLE identity.known_browsers (
    token_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT queue.now() NOT NULL
);

COMMENT ON TABLE identity.known_browsers IS 'Browsers that somebody has signed in with: failures elsewhere do not keep them from signing in there again';

COMMENT ON COLUMN identity.known_browsers.token_hash IS 'SHA-256 of what the cookie holds';

COMMENT ON COLUMN identity.known_browsers.user_id IS 'Who has signed in';

COMMENT ON COLUMN identity.known_browsers.created_at IS 'When they last signed in with it';

CREATE TABLE identity.sessions (
    token_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    csrf text NOT NULL,
    created_at timestamp with time zone DEFAULT queue.now() NOT NULL,
    seen_at timestamp with time zone DEFAULT queue.now() NOT NULL,
    role text
);

COMMENT ON TABLE identity.sessions IS 'Who is signed in; a session ends at sign-out, after idle time, after seven days, or with a new password or role';

COMMENT ON COLUMN identity.sessions.token_hash IS 'SHA-256 of what the cookie holds';

COMMENT ON COLUMN identity.sessions.user_id IS 'Whose it is';

COMMENT ON COLUMN identity.sessions.csrf IS 'What each form of it must bring along';

COMMENT ON COLUMN identity.sessions.created_at IS 'When they signed in';

COMMENT ON COLUMN identity.sessions.seen_at IS 'Their last request, to the minute';

COMMENT ON COLUMN identity.sessions.role IS 'Role of its user at the sign-in: the session ends when that changes; null in those of before';

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

CREATE TABLE identity.users (
    id uuid NOT NULL,
    email text NOT NULL,
    password_hash text NOT NULL,
    role text NOT NULL,
    created_at timestamp with time zone DEFAULT queue.now() NOT NULL,
    disabled_at timestamp with time zone,
    CONSTRAINT users_role_check CHECK ((role = ANY (ARRAY['viewer'::text, 'operator'::text, 'admin'::text])))
);

COMMENT ON TABLE identity.users IS 'People who sign in to the dashboard';

COMMENT ON COLUMN identity.users.id IS 'UUIDv7';

COMMENT ON COLUMN identity.users.email IS 'What they sign in with, in any case of letters';

COMMENT ON COLUMN identity.users.password_hash IS 'Argon2id, as a PHC string';

COMMENT ON COLUMN identity.users.role IS 'What they may do: viewers look, operators also act on jobs and queues, admins also set limits';

COMMENT ON COLUMN identity.users.created_at IS 'When they were made';

COMMENT ON COLUMN identity.users.disabled_at IS 'Since when they may not sign in; null while they may';

ALTER TABLE ONLY identity.api_key_changes
    ADD CONSTRAINT api_key_changes_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY identity.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (tenant_id, id);

ALTER TABLE ONLY identity.api_keys
    ADD CONSTRAINT api_keys_prefix_key UNIQUE (prefix);

ALTER TABLE ONLY identity.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);

ALTER TABLE ONLY identity.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (key);

ALTER TABLE ONLY identity.known_browsers
    ADD CONSTRAINT known_browsers_pkey PRIMARY KEY (token_hash);

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

ALTER TABLE ONLY identity.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

CREATE INDEX audit_by_time ON identity.audit USING btree (at);

CREATE INDEX audit_failed ON identity.audit USING btree (at) WHERE (once IS NOT NULL);

CREATE INDEX audit_of_actor ON identity.audit USING btree (lower(actor), id);

CREATE INDEX audit_of_target ON identity.audit USING btree (target, id);

CREATE INDEX audit_of_tenant ON identity.audit USING btree (tenant_id, id) WHERE (tenant_id IS NOT NULL);

CREATE UNIQUE INDEX audit_once ON identity.audit USING btree (once) WHERE (once IS NOT NULL);

CREATE INDEX idempotency_keys_created ON identity.idempotency_keys USING btree (created_at);

CREATE INDEX known_browsers_user ON identity.known_browsers USING btree (user_id, created_at);

CREATE INDEX sessions_user ON identity.sessions USING btree (user_id);

CREATE UNIQUE INDEX users_email ON identity.users USING btree (lower(email));

CREATE TRIGGER api_keys_added AFTER INSERT ON identity.api_keys FOR EACH STATEMENT EXECUTE FUNCTION identity.count_added_api_keys();

CREATE TRIGGER audit_never_emptied BEFORE TRUNCATE ON identity.audit FOR EACH STATEMENT EXECUTE FUNCTION identity.audit_is_only_added_to();

CREATE TRIGGER audit_only_added_to BEFORE DELETE OR UPDATE ON identity.audit FOR EACH ROW EXECUTE FUNCTION identity.audit_is_only_added_to();

CREATE TRIGGER keep_identity BEFORE UPDATE OF id, slug ON identity.tenants FOR EACH ROW WHEN (((old.id IS DISTINCT FROM new.id) OR (old.slug IS DISTINCT FROM new.slug))) EXECUTE FUNCTION identity.keep_tenant_identity();

CREATE TRIGGER tenants_time_zone_is_known_insert AFTER INSERT ON identity.tenants REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION identity.refuse_unknown_time_zones();

CREATE TRIGGER tenants_time_zone_is_known_update AFTER UPDATE ON identity.tenants REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION identity.refuse_unknown_time_zones();

ALTER TABLE ONLY identity.api_keys
    ADD CONSTRAINT api_keys_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES identity.tenants(id) ON DELETE CASCADE;

ALTER TABLE ONLY identity.known_browsers
    ADD CONSTRAINT known_browsers_user_id_fkey FOREIGN KEY (user_id) REFERENCES identity.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY identity.sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES identity.users(id) ON DELETE CASCADE;

ALTER TABLE identity.api_keys ENABLE ROW LEVEL SECURITY;

ALTER TABLE identity.audit ENABLE ROW LEVEL SECURITY;

CREATE POLICY desk_reads ON identity.tenants FOR SELECT TO weirgate_desk USING ((id = identity.current_tenant()));

CREATE POLICY super_reads ON identity.tenants FOR SELECT TO weirgate_super USING (true);

CREATE POLICY tenant_reads ON identity.api_keys FOR SELECT TO weirgate_tenant USING ((tenant_id = identity.current_tenant()));

CREATE POLICY tenant_reads ON identity.audit FOR SELECT TO weirgate_tenant USING ((tenant_id = identity.current_tenant()));

CREATE POLICY tenant_reads ON identity.tenants FOR SELECT TO weirgate_tenant USING ((id = identity.current_tenant()));

ALTER TABLE identity.tenants ENABLE ROW LEVEL SECURITY;

GRANT USAGE ON SCHEMA identity TO weirgate_tenant;
GRANT USAGE ON SCHEMA identity TO weirgate_desk;
GRANT USAGE ON SCHEMA identity TO weirgate_super;

GRANT SELECT ON TABLE identity.tenants TO weirgate_tenant;
GRANT SELECT ON TABLE identity.tenants TO weirgate_desk;
GRANT SELECT ON TABLE identity.tenants TO weirgate_super;

