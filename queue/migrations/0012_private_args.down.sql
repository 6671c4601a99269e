drop trigger delete_private_args_of_deleted on queue.jobs;
drop trigger delete_private_args_of_ended on queue.jobs;
drop function queue.delete_private_args();
alter table queue.jobs drop column has_private;
drop table queue.private_args;
