drop table queue.unresolved;
drop table queue.job_dependencies;
drop table queue.workflows;
