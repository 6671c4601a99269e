do $$
begin
    if exists (select from queue.unsettled) then
        raise exception 'some jobs'' ends are not known to all their children yet'
            using hint = 'start a worker, and go back when queue.unsettled is empty';
    end if;
end
$$;

drop table queue.unsettled;

drop index queue.jobs_workflow;
create index jobs_workflow on queue.jobs (workflow_id) where workflow_id is not null;

drop index queue.job_dependencies_parent;
create index job_dependencies_parent on queue.job_dependencies (parent_id);

alter table queue.job_dependencies drop column outcome;
alter table queue.job_dependencies reset (fillfactor);

alter table queue.jobs drop column failed_parents, drop column name;
comment on column queue.jobs.pending_parents is 'Jobs it still waits on';
