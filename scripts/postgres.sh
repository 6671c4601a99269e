#!/usr/bin/env bash
# A throw-away Postgres for scripts, to be sourced. After `start_postgres NAME` a server runs with its files under
# $postgres_dir and no TCP port: only this account and root can reach its socket. It ends with the script, which
# defines `fail` and sets `-e`.

# The newest Postgres there is.
find_postgres() {
    local dir
    if [ -n "${WEIRGATE_PG_BIN-}" ]; then
        echo "$WEIRGATE_PG_BIN"
        return
    fi
    while read -r dir; do
        if [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] && [ -x "$dir/psql" ]; then
            echo "$dir"
            return
        fi
    done < <(compgen -G '/usr/lib/postgresql/*/bin' | sort -rV; pg_config --bindir 2>/dev/null)
    return 1
}

postgres_server=
stop_postgres() {
    if [ -n "$postgres_server" ]; then
        kill -INT "$postgres_server" 2>/dev/null || true
        wait "$postgres_server" 2>/dev/null || true
    fi
    rm -rf "$postgres_dir"
}

psql() {
    env -u PGSERVICE -u PGOPTIONS PGHOST="$postgres_dir/postgres" PGUSER=weirgate PGDATABASE=postgres \
        "$postgres_bin/psql" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 "$@"
}

# Also sets $postgres_bin, and $postgres_url, the server's address for sqlx.
start_postgres() {
    local run=() account=
    postgres_bin=$(find_postgres) \
        || fail 'no Postgres found: install it (Debian: apt-get install postgresql), or set WEIRGATE_PG_BIN'
    # Postgres refuses to run as root.
    if [ "$(id -u)" = 0 ]; then
        for account in postgres nobody; do
            id -u "$account" >/dev/null 2>&1 && break
        done
        run=(setpriv "--reuid=$account" "--regid=$(id -g "$account")" --clear-groups)
    fi
    # Not under TMPDIR: a socket's path has at most 107 characters.
    postgres_dir=$(mktemp -d "/tmp/weirgate-$1.XXXXXX")
    trap stop_postgres EXIT
    trap 'exit 130' INT TERM HUP
    mkdir "$postgres_dir/postgres"
    if [ -n "$account" ]; then
        chmod 711 "$postgres_dir"
        chown "$account" "$postgres_dir/postgres"
    fi
    chmod 700 "$postgres_dir/postgres"
    (
        cd /
        "${run[@]}" "$postgres_bin/initdb" --pgdata="$postgres_dir/postgres/data" --username=weirgate \
            --auth-local=trust --auth-host=reject --encoding=UTF8 --no-locale --no-sync
    ) >"$postgres_dir/log" 2>&1 || { cat "$postgres_dir/log" >&2; fail 'initdb failed'; }
    # A session of its own: Ctrl-C is for this script, which then stops the server.
    (
        cd /
        exec setsid "${run[@]}" "$postgres_bin/postgres" -D "$postgres_dir/postgres/data" \
            -k "$postgres_dir/postgres" -c listen_addresses= -c fsync=off -c full_page_writes=off
    ) >"$postgres_dir/log" 2>&1 </dev/null &
    postgres_server=$!
    # shellcheck disable=SC2034 # for the script that sources this
    postgres_url="postgres:///postgres?host=$postgres_dir/postgres&user=weirgate"
    for _ in $(seq 150); do
        psql --command='select' >/dev/null 2>&1 && return
        kill -0 "$postgres_server" 2>/dev/null || break
        sleep 0.1
    done
    cat "$postgres_dir/log" >&2
    fail 'Postgres did not start'
}
