-- What each API key may be used for.

alter table identity.api_keys add column scopes text[];

comment on column identity.api_keys.scopes is
    'Names of the scopes that the key has, as the domains bring them; null: it was given none, and '
    'has those that keys had before there were scopes';
