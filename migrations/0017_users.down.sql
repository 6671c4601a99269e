drop table audit, sessions, users;
