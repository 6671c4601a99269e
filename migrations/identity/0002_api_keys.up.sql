-- API keys of tenants, and what tells that a key that was refused may be a new one.

create table identity.api_keys (
    tenant_id    uuid not null references identity.tenants(id) on delete cascade,
    id           uuid not null,
    prefix       text not null unique,
    key_hash     bytea not null check (octet_length(key_hash) = 32),
    name         text not null,
    is_active    boolean not null default true,
    last_used_at timestamptz,
    created_at   timestamptz not null default now(),
    expires_at   timestamptz,
    primary key (tenant_id, id)
);

comment on table identity.api_keys is 'Keys with which tenants call /v1';
comment on column identity.api_keys.tenant_id is 'Whose key it is';
comment on column identity.api_keys.id is 'Permanent id of the key';
comment on column identity.api_keys.prefix is
    'Visible beginning of the key, by which it is looked up';
comment on column identity.api_keys.key_hash is
    'SHA-256 of the whole key; the key itself is not kept';
comment on column identity.api_keys.name is 'What the key is for';
comment on column identity.api_keys.is_active is 'False once revoked';
comment on column identity.api_keys.last_used_at is
    'Last request with this key, kept to the minute';
comment on column identity.api_keys.created_at is 'When the key was made';
comment on column identity.api_keys.expires_at is
    'From when on it is refused; null: never by itself';

alter table identity.api_keys enable row level security;
create policy tenant_reads on identity.api_keys for select to weirgate_tenant
    using (tenant_id = identity.current_tenant());

create table identity.api_key_changes (
    only_row boolean primary key default true check (only_row),
    added    bigint not null default 0
);

comment on table identity.api_key_changes is
    'One row: as long as it stays the same, no key was added, and what an API process remembers '
    'of keys that do not exist is true';
comment on column identity.api_key_changes.only_row is 'Always true, so that there is one row';
comment on column identity.api_key_changes.added is 'Counts the statements that added keys';

insert into identity.api_key_changes default values;

create function identity.count_added_api_keys() returns trigger language plpgsql as $$
begin
    update identity.api_key_changes set added = added + 1;
    return null;
end
$$;

comment on function identity.count_added_api_keys() is
    'Counts in api_key_changes, in the transaction that adds the key';

create trigger api_keys_added after insert on identity.api_keys
    for each statement execute function identity.count_added_api_keys();
