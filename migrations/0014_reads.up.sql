-- Lists of jobs that stay quick with millions of them: docs/performance.md has the figures.

-- Indexes for every state that few jobs are in, in the order of lists and of bulk actions. Neither claims nor
-- finishes of jobs that complete write it.
create index jobs_aside on queue.jobs (aside, seq) where aside is not null;
create index jobs_tenant_aside on queue.jobs (tenant_id, seq) where aside is not null;

-- Where running jobs are found; row-level security hides other tenants' jobs themselves.
grant select (jobs) on queue.claims to weirgate_tenant;

-- Jobs are numbered as they come, so that a time is found among the numbers by halving: no index of times is
-- needed, which each job would have to write.
create function queue.seq_at(at timestamptz) returns bigint language plpgsql stable as $$
declare
    low bigint := 0;
    high bigint;
    job record;
begin
    select coalesce(max(seq), 0) + 1 into high from queue.jobs;
    while low + 1 < high loop
        select seq, created_at into job from queue.jobs
        where seq >= (low + high) / 2 and seq < high order by seq limit 1;
        if job.created_at < at then
            low := job.seq;
        else
            high := (low + high) / 2;
        end if;
    end loop;
    return high;
end
$$;

comment on function queue.seq_at is 'The first seq of jobs that were enqueued then or later, of those that the caller sees';
