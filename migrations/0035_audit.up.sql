-- An audit that tells whom an entry concerns, is found by each filter, and cannot be changed afterwards; jobs that name who enqueued them.

alter table audit add column tenant_id uuid;

create index audit_of_actor on audit (lower(actor), id);
create index audit_of_tenant on audit (tenant_id, id) where tenant_id is not null;
create index audit_by_time on audit (at);

comment on table audit is 'Who did what, when, to what, from where, and what it was before; failed sign-ins are gathered and pruned, all else is only ever added to';
comment on column audit.actor is 'Who did it: a user''s email, the service''s token with the beginning of its SHA-256, or an account of a host; anonymous for failed sign-ins';
comment on column audit.detail is 'How it was ("before") and is ("after"), as far as that differs or was asked for, and more of it';
comment on column audit.tenant_id is 'The tenant that it concerns; null where that is none or several';

-- Nobody but the owner is granted anything: tenants read no entry.
alter table audit enable row level security;
create policy tenant_reads on audit for select to weirgate_tenant using (tenant_id = current_tenant());

-- The application owns the table, so that grants would not hold it back.
create function audit_is_only_added_to() returns trigger
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

create trigger audit_only_added_to before update or delete on audit
    for each row execute function audit_is_only_added_to();
create trigger audit_never_emptied before truncate on audit
    for each statement execute function audit_is_only_added_to();

alter table queue.jobs add column enqueued_by text;
comment on column queue.jobs.enqueued_by is 'Who asked for it, as the audit names them; null where that was a schedule, a backfill or another job';
