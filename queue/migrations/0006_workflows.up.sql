-- Workflows: their names, the edges between their jobs, and outcomes that are still to be
-- propagated along them.

create table queue.workflows (
    id         uuid primary key,
    tenant_id  uuid not null,
    name       text,
    subject    text,
    created_at timestamptz not null default queue.now()
);

create index workflows_tenant on queue.workflows (tenant_id, id);
create index workflows_subject on queue.workflows (subject, id) where subject is not null;
create index workflows_tenant_subject on queue.workflows (tenant_id, subject, id) where subject is not null;

comment on table queue.workflows is 'Names of workflows; their jobs refer to them by workflow_id';
comment on column queue.workflows.id is
    'The workflow; of version 7, so that ids have the order of time';
comment on column queue.workflows.tenant_id is 'The tenant of its first job';
comment on column queue.workflows.name is
    'What the application calls workflows of its kind; null where it gave none';
comment on column queue.workflows.subject is
    'What the workflow is about, as its jobs; null where the application said nothing';
comment on column queue.workflows.created_at is 'When it was enqueued';

alter table queue.workflows enable row level security;

-- An edge is written again when its parent ends; the space that the pages keep free leaves the
-- indexes as they are.
create table queue.job_dependencies (
    tenant_id  uuid not null,
    child_id   uuid not null references queue.jobs(id) on delete cascade,
    parent_id  uuid not null references queue.jobs(id) on delete cascade,
    on_failure text not null check (on_failure in ('cancel', 'continue')),
    outcome    text not null default 'pending' check (outcome in ('pending', 'passed', 'failed')),
    primary key (child_id, parent_id)
) with (fillfactor=60);

-- In the order in which an outcome is propagated, some children at a time.
create index job_dependencies_parent on queue.job_dependencies (parent_id, child_id);

comment on table queue.job_dependencies is
    'Edges of workflows: a child waits until its parents are final';
comment on column queue.job_dependencies.tenant_id is 'Whose jobs they are';
comment on column queue.job_dependencies.child_id is 'The job that waits';
comment on column queue.job_dependencies.parent_id is 'The job it waits on';
comment on column queue.job_dependencies.on_failure is
    'What a discarded or cancelled parent does to the child: cancel it, or let it continue';
comment on column queue.job_dependencies.outcome is
    'The outcome that was propagated last: the parent is pending, or has passed (completed, or '
    'failed where the child goes on), or failed';

alter table queue.job_dependencies enable row level security;
create policy tenant_reads on queue.job_dependencies for select to weirgate_tenant
    using (tenant_id = nullif(current_setting('weirgate.tenant', true), '')::uuid);
grant select on queue.job_dependencies to weirgate_tenant;

create table queue.unresolved (
    id          bigint primary key generated always as identity,
    job_id      uuid not null,
    after_child uuid not null
);

comment on table queue.unresolved is
    'Jobs that ended or were retried, and whose outcome is not yet propagated to all of their '
    'children';
comment on column queue.unresolved.id is 'Order in which outcomes are propagated';
comment on column queue.unresolved.job_id is 'The job whose outcome is propagated';
comment on column queue.unresolved.after_child is
    'The outcome is propagated to children up to this id';
