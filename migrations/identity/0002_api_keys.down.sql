drop table identity.api_keys;
drop table identity.api_key_changes;
drop function identity.count_added_api_keys();
