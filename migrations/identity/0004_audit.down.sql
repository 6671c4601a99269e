drop table identity.audit;
drop function identity.audit_is_only_added_to();
