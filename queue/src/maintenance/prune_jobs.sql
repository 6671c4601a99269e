-- Deletes the jobs past their retention among the next ones in order of enqueueing.
--
-- - $1: the seq after which the walk goes on
-- - $2: most jobs that it examines
-- - $3: for how many seconds completed and cancelled jobs are kept
-- - $4: for how many seconds discarded jobs are kept
--
-- Returns how many were deleted, and the last seq that was examined: null once all that follow are
-- too young.
with walked as (
    -- A job ends after it was enqueued, so one that is younger than both retentions need not be
    -- examined.
    select seq, created_at < queue.now() - make_interval(secs => least($3::float8, $4::float8)) as is_old
    from queue.jobs where seq > $1 order by seq limit $2
), over as (
    -- Those that have ended and are past their retention.
    select j.id from queue.jobs j join walked on walked.seq = j.seq
    where walked.is_old
      and (j.state in ('completed', 'cancelled') and j.finalized_at < queue.now() - make_interval(secs => $3)
           or j.state = 'discarded' and j.finalized_at < queue.now() - make_interval(secs => $4))
      -- A job that may still run, or be retried, keeps the jobs that it waited on.
      and not exists (
          select from queue.job_dependencies d join queue.jobs c on c.id = d.child_id
          where d.parent_id = j.id and c.state <> 'completed')
    for update of j skip locked
), deleted as (
    delete from queue.jobs j using over where j.id = over.id returning j.id
)
select (select count(*) from deleted) as "deleted!",
    (select max(seq) from walked having bool_or(is_old)) as last
