-- The audit: who did what. Each filter of it is a walk down an index.

create table identity.audit (
    id        bigint primary key generated always as identity,
    at        timestamptz not null default queue.now(),
    actor     text not null,
    action    text not null,
    target    text not null,
    detail    jsonb not null default '{}',
    via       text not null default 'dashboard' check (via in ('dashboard', 'internal', 'cli')),
    address   text,
    times     integer not null default 1,
    once      text,
    tenant_id uuid
);

create unique index audit_once on identity.audit (once) where once is not null;
create index audit_failed on identity.audit (at) where once is not null;
create index audit_of_target on identity.audit (target, id);
create index audit_of_actor on identity.audit (lower(actor), id);
create index audit_of_tenant on identity.audit (tenant_id, id) where tenant_id is not null;
create index audit_by_time on identity.audit (at);

comment on table identity.audit is
    'Who did what, when, to what, from where, and what it was before; failed sign-ins are '
    'gathered and pruned, all else is only ever added to';
comment on column identity.audit.id is 'Order of what was done';
comment on column identity.audit.at is 'When';
comment on column identity.audit.actor is
    'Who did it: a user''s email, the service''s token with the beginning of its SHA-256, or an '
    'account of a host; anonymous for failed sign-ins';
comment on column identity.audit.action is 'What was done, such as job.cancel';
comment on column identity.audit.target is 'To what: a job''s id, a queue''s name, an email';
comment on column identity.audit.detail is
    'How it was ("before") and is ("after"), as far as that differs or was asked for, and more of '
    'it';
comment on column identity.audit.via is
    'By which way: dashboard, internal (the service''s API), cli (the program''s commands)';
comment on column identity.audit.address is
    'The client''s IP address; null where there is none or it is not known';
comment on column identity.audit.times is
    'How often within the minute; more than 1 for failed sign-ins alone';
comment on column identity.audit.once is 'What failed sign-ins are gathered by; null for all else';
comment on column identity.audit.tenant_id is
    'The tenant that it concerns; null where that is none or several';

-- Nobody but the owner is granted anything: tenants read no entry.
alter table identity.audit enable row level security;
create policy tenant_reads on identity.audit for select to weirgate_tenant
    using (tenant_id = identity.current_tenant());

-- The application owns the table, so that grants would not keep it from changing entries.
create function identity.audit_is_only_added_to() returns trigger
language plpgsql
as $$
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

create trigger audit_only_added_to before delete or update on identity.audit
    for each row execute function identity.audit_is_only_added_to();
create trigger audit_never_emptied before truncate on identity.audit
    for each statement execute function identity.audit_is_only_added_to();
