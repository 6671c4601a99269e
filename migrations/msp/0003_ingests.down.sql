drop trigger keep_source_run on queue.jobs;
drop function msp.keep_source_run();
drop table msp.source_runs;
drop table msp.ingest_rejects;
drop table msp.ingest_seen;
drop table msp.ingest_turns;
