-- Tenants, their API keys, and the role as which a tenant's reads run.

-- The role of a tenant's reads: it owns nothing and cannot bypass row-level security. A role belongs to the
-- whole server, so another database of the same server, or an administrator, may have made it already.
do $$
begin
    if not exists (select from pg_roles where rolname = 'weirgate_tenant') then
        begin
            create role weirgate_tenant nologin;
        exception
            when duplicate_object or unique_violation then null;
        end;
    end if;
    begin
        execute format('grant weirgate_tenant to %I', current_user);
    exception
        when insufficient_privilege then null;
    end;
    if not pg_has_role(current_user, 'weirgate_tenant', 'member') then
        raise exception 'the role % may not act as weirgate_tenant', current_user
            using hint = format('as an administrator: grant weirgate_tenant to %I', current_user);
    end if;
end
$$;

grant usage on schema public to weirgate_tenant;

-- The tenant that the current transaction reads for; null when none was set, so that nothing is visible.
create function current_tenant() returns uuid
language sql stable
as $$ select nullif(current_setting('app.current_tenant', true), '')::uuid $$;

create table tenants (
    id          uuid primary key,
    slug        text not null unique check (slug ~ '^[A-Za-z0-9_-]{1,64}$'),
    name        text not null,
    is_active   boolean not null default true,
    llm_enabled boolean not null default false,
    time_zone   text not null default 'UTC' check (timestamptz 'epoch' at time zone time_zone is not null),
    created_at  timestamptz not null default now()
);

comment on table tenants is 'The customers whose data is ingested';
comment on column tenants.id is 'Permanent id of the tenant';
comment on column tenants.slug is 'Name in URLs, files and job arguments, such as tenant_demo_cca';
comment on column tenants.name is 'Name for people';
comment on column tenants.is_active is 'Inactive tenants keep their data, but no job is accepted for them';
comment on column tenants.llm_enabled is 'Whether the tenant allows language models on its data';
comment on column tenants.time_zone is 'IANA time zone; where the tenant''s days begin and end';
comment on column tenants.created_at is 'When the tenant was made';

create table api_keys (
    tenant_id    uuid not null references tenants (id) on delete cascade,
    id           uuid not null,
    prefix       text not null unique,
    key_hash     bytea not null check (octet_length(key_hash) = 32),
    name         text not null,
    is_active    boolean not null default true,
    last_used_at timestamptz,
    created_at   timestamptz not null default now(),
    primary key (tenant_id, id)
);

comment on table api_keys is 'Keys with which tenants call /v1';
comment on column api_keys.tenant_id is 'Whose key it is';
comment on column api_keys.id is 'Permanent id of the key';
comment on column api_keys.prefix is 'Visible beginning of the key, by which it is looked up';
comment on column api_keys.key_hash is 'SHA-256 of the whole key; the key itself is not kept';
comment on column api_keys.name is 'What the key is for';
comment on column api_keys.is_active is 'False once revoked';
comment on column api_keys.last_used_at is 'Last request with this key, kept to the minute';
comment on column api_keys.created_at is 'When the key was made';

alter table tenants enable row level security;
create policy tenant_reads on tenants for select to weirgate_tenant using (id = current_tenant());
grant select on tenants to weirgate_tenant;

alter table api_keys enable row level security;
create policy tenant_reads on api_keys for select to weirgate_tenant using (tenant_id = current_tenant());
