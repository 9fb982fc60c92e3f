#!/bin/sh
# Makes sure that strace is there: the tests of power cuts record what is synced with it. Root gets the package installed
# where there is apt, everybody else gets told what to install.
set -eu

if command -v strace >/dev/null 2>&1; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "strace: installing the system package strace (the tests of power cuts record system calls)"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends strace
fi
if ! command -v strace >/dev/null 2>&1; then
    echo "strace: the tests of power cuts need strace: install it (Debian: apt-get install strace)" >&2
    exit 2
fi
