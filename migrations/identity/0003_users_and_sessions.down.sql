drop table identity.known_browsers;
drop table identity.sessions;
drop table identity.users;
