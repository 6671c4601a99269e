drop function queue.now();
revoke usage on schema queue from weirgate_tenant;
-- The role stays: other databases of the server may use it.
