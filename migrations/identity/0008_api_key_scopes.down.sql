alter table identity.api_keys drop column scopes;
