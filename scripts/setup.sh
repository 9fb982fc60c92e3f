#!/bin/sh
# Creates the virtual environment and installs the pinned dependencies. Needs Python >= 3.11 with venv; on a Debian
# machine without it, root gets the package installed, everybody else gets told which one.
set -eu
venv=${1:-.venv}
python=${PYTHON:-python3}

if ! command -v "$python" >/dev/null 2>&1; then
    echo "setup: $python is not installed; install Python 3.11 or newer (Debian: python3)" >&2
    exit 2
fi
"$python" - <<'PY' || exit 2
import sys
if sys.version_info < (3, 11):
    print(f"setup: Python 3.11 or newer is needed, this is {sys.version.split()[0]}", file=sys.stderr)
    sys.exit(2)
PY

if [ ! -x "$venv/bin/python" ]; then
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
            echo "setup: installing the system package python3-venv"
            apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv
        else
            echo "setup: the venv module is missing; install it (Debian: apt-get install python3-venv)" >&2
            exit 2
        fi
    fi
    echo "setup: creating $venv"
    "$python" -m venv "$venv"
fi

echo "setup: installing $(grep -c '^[a-z].*==' requirements.lock) pinned packages into $venv (about 1 GB; first time only)"
sh scripts/install.sh "$venv" requirements.lock
"$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
echo "setup: done"
