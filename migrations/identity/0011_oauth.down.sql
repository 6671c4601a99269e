drop table identity.invitations;
drop table identity.auth_codes;
drop table identity.refresh_tokens;
drop table identity.grants;
drop table identity.clients;
