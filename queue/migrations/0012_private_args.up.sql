-- Private arguments: a second argument of a job, sealed, apart from the row that lists, filters,
-- pages and errors are made of. It is deleted in the transaction that completes, cancels or deletes
-- its job, whoever does that.
create table queue.private_args (
    seq    bigint primary key,
    sealed bytea not null
);

comment on table queue.private_args is
    'The private arguments of jobs that may still run: of those that are not final, and of dead '
    'letters, so that they can be retried';
comment on column queue.private_args.seq is 'The job, by its seq';
comment on column queue.private_args.sealed is
    'The value as JSON, encrypted by the application''s key for the place '
    '"queue.private_args/<id of the job>"';

-- Without a policy, so that nobody reads it but the owner, whatever is granted.
alter table queue.private_args enable row level security;

alter table queue.jobs add column has_private boolean not null default false;
comment on column queue.jobs.has_private is
    'Whether it was enqueued with a private argument, which may be deleted by now '
    '(queue.private_args)';

create function queue.delete_private_args() returns trigger language plpgsql as $$
begin
    delete from queue.private_args where seq = old.seq;
    return null;
end
$$;

comment on function queue.delete_private_args() is
    'Deletes the private argument of a job that is completed, cancelled or deleted';

-- Triggers, so that no way to end a job is forgotten. Their conditions are all that jobs without a
-- private argument pay.
create trigger delete_private_args_of_ended after update of state on queue.jobs
    for each row when (new.has_private and new.state in ('completed', 'cancelled'))
    execute function queue.delete_private_args();

create trigger delete_private_args_of_deleted after delete on queue.jobs
    for each row when (old.has_private)
    execute function queue.delete_private_args();
