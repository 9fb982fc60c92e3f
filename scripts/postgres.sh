#!/bin/sh
# Makes sure that PostgreSQL's server programs are there: the tests start servers of their own. Root gets the package
# installed where there is apt, everybody else gets told what to install.
set -eu

has_server() {
    command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

if has_server; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "postgres: installing the system package postgresql (the tests start servers of their own)"
    # The package would also make and start a cluster that nobody asked for.
    mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
        echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql
fi
if ! has_server; then
    echo "postgres: the tests need PostgreSQL's server programs (initdb, postgres), version 14 or newer: install them" >&2
    echo "postgres: (Debian: apt-get install postgresql; macOS: brew install postgresql) or put them on the PATH" >&2
    exit 2
fi
