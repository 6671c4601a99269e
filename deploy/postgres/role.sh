#!/bin/bash
# Run once by the image of Postgres, when it makes its data: the role as which Weirgate connects, and its database. That
# role is no superuser. It may make roles, as the first migration makes the one that tenants read as.
set -euo pipefail
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=password="$WEIRGATE_PASSWORD" --username="$POSTGRES_USER" --dbname=postgres <<'SQL'
create role weirgate login createrole password :'password';
create database weirgate owner weirgate;
SQL
