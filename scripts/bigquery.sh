#!/bin/sh
# The BigQuery emulator of the tests, in an environment of its own: it pins other versions of what Polyhouse uses.
set -eu
venv=${1:-.venv-bigquery}
python=${PYTHON:-python3}
lock=tests/support/bigquery-emulator.lock

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
echo "bigquery: installing $(grep -c '^[a-z].*==' "$lock") pinned packages into $venv (about 0.5 GB; first time only)"
sh scripts/install.sh "$venv" "$lock"
# The emulator loads DuckDB's spatial extension, which would be downloaded otherwise; it looks for it below $HOME.
mkdir -p "$venv/home"
HOME=$(cd "$venv/home" && pwd) "$venv/bin/python" -c "import duckdb_extensions; duckdb_extensions.import_extension('spatial')"
echo "bigquery: done"
