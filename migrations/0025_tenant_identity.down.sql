alter table ingest_rejects drop column generation;
drop table ingest_turns;
drop function queue.is_current_run;
comment on column tenants.slug is 'Name in URLs, files and job arguments, such as tenant_demo_cca';
alter table tenants drop constraint tenants_slug_is_no_id;
drop trigger keep_identity on tenants;
drop function keep_tenant_identity;
