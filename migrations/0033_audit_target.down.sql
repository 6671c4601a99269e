drop index audit_target;
