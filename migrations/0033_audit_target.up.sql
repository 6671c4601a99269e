-- The page of a job tells who did what to it.
create index audit_target on audit (target, id);

comment on index audit_target is 'What was done to one job, queue or account, in order';
