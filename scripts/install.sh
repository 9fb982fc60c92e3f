#!/bin/sh
# Installs what a lock file pins into an environment: sh scripts/install.sh VENV LOCK. With uv, itself pinned, in a
# quarter of the time that pip needs; with pip where uv cannot be had or does not reach what pip is configured for.
set -eu
venv=$1
lock=$2
python=$venv/bin/python
uv=$venv/.uv/bin/uv

with_uv() {
    [ -x "$uv" ] || "$python" -m pip install -q --disable-pip-version-check --require-hashes --no-deps \
        --target "$venv/.uv" -r scripts/uv.lock || return 1
    # uv reads none of pip's settings: where packages come from is handed on. Any source may have a package, as with
    # pip: what is installed must have the hashes of the lock file.
    index=${UV_DEFAULT_INDEX:-${PIP_INDEX_URL:-$("$python" -m pip config get global.index-url 2>/dev/null || true)}}
    if [ -n "$index" ]; then
        export UV_DEFAULT_INDEX="$index"
    fi
    if [ -n "${PIP_FIND_LINKS:-}" ]; then
        export UV_FIND_LINKS="${UV_FIND_LINKS:-$PIP_FIND_LINKS}"
    fi
    "$uv" pip install -q --no-progress --python "$python" --index-strategy unsafe-best-match --require-hashes -r "$lock"
}

if ! with_uv; then
    echo "install: uv did not do it, so pip does" >&2
    "$python" -m pip install -q --disable-pip-version-check --require-hashes -r "$lock"
fi
