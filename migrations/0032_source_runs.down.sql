drop index kpi_daily_unusual;
drop index queue.lanes_paused;
drop index ingest_rejects_at;
drop index ingest_rejects_dataset;
create index ingest_rejects_dataset on ingest_rejects (dataset, tenant_id, origin, line);
drop trigger keep_source_run on queue.jobs;
drop function keep_source_run();
drop table source_runs;
