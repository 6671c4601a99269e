-- The version before lets every key read everything: keys that may read less are revoked.
update identity.api_keys set is_active = false where scopes is not null;
alter table identity.api_keys drop column scopes;
