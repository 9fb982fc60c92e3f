#!/bin/sh
# Makes sure that a Chromium is there: the tests of the dashboard walk its pages in a real browser. Root gets the package
# installed where there is apt, everybody else gets told what to install.
set -eu

has_browser() {
    [ -n "${POLYHOUSE_CHROMIUM:-}" ] && [ -x "$POLYHOUSE_CHROMIUM" ] && return 0
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$name" >/dev/null 2>&1 && return 0
    done
    [ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ]
}

if has_browser; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "chromium: installing the system package chromium (the tests of the dashboard use a real browser)"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core
fi
if ! has_browser; then
    echo "chromium: the tests of the dashboard need Chromium or Google Chrome: install it (Debian: apt-get install" >&2
    echo "chromium: chromium; macOS: brew install --cask chromium), or name its program in POLYHOUSE_CHROMIUM" >&2
    exit 2
fi
