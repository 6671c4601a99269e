select queue.remove_final_hook('msp.keep_source_run');
drop function msp.keep_source_run(uuid, uuid, text, text, timestamptz, jsonb, jsonb);
drop table msp.source_runs;
drop table msp.ingest_rejects;
drop table msp.ingest_seen;
drop table msp.ingest_turns;
