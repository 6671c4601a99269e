-- Workflows: names of jobs, what each child knows of its parents, and the children that are still to be told.

alter table queue.jobs
    add column name           text,
    add column failed_parents integer not null default 0;

comment on column queue.jobs.name is 'What people call it within its workflow';
comment on column queue.jobs.failed_parents is 'Edges to it that read failed: discarded or cancelled jobs that it cannot do without';
comment on column queue.jobs.pending_parents is 'Edges to it that read pending: jobs it waits on';

-- Every edge is written again when its parent ends; room on the page keeps that out of the indexes.
alter table queue.job_dependencies
    set (fillfactor = 60);
alter table queue.job_dependencies
    add column outcome text not null default 'pending' check (outcome in ('pending', 'passed', 'failed'));

comment on column queue.job_dependencies.outcome is 'What the child was told last: the parent is pending, or has passed (completed, or failed where the child goes on), or failed';

update queue.job_dependencies d
set outcome = case when p.state = 'completed' or d.on_failure = 'continue' then 'passed' else 'failed' end
from queue.jobs p
where p.id = d.parent_id and p.state in ('completed', 'cancelled', 'discarded');

update queue.jobs c
set pending_parents = told.pending, failed_parents = told.failed
from (
    select child_id,
        count(*) filter (where outcome = 'pending') as pending,
        count(*) filter (where outcome = 'failed') as failed
    from queue.job_dependencies group by child_id
) told
where c.id = told.child_id;

-- In the order in which children are told in steps.
drop index queue.job_dependencies_parent;
create index job_dependencies_parent on queue.job_dependencies (parent_id, child_id);

-- In the order in which a workflow is listed.
drop index queue.jobs_workflow;
create index jobs_workflow on queue.jobs (workflow_id, seq) where workflow_id is not null;

create table queue.unsettled (
    id          bigint generated always as identity primary key,
    job_id      uuid not null,
    after_child uuid not null
);

comment on table queue.unsettled is 'Jobs that ended or live again, and whose children are still to be told';
comment on column queue.unsettled.id is 'Order of writing';
comment on column queue.unsettled.job_id is 'The job whose state its children are to be told';
comment on column queue.unsettled.after_child is 'Children up to this id have been told';
