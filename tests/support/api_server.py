"""``polyhouse serve`` in a process of its own, as users run it, and what talks to it."""

from __future__ import annotations

import atexit
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import polyhouse as package


def environment(home, **settings):
    """The environment of a command: nothing of ours but the home folder and the given settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLYHOUSE_")}
    ours = {f"POLYHOUSE_{name.upper()}": str(value) for name, value in settings.items()}
    return kept | {"POLYHOUSE_HOME": str(home), "PYTHONPATH": str(Path(package.__file__).parents[1])} | ours


def polyhouse(home, *arguments, **settings):
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "polyhouse", *arguments],
        env=environment(home, **settings), cwd=home, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


class Server:
    """A running server. Without ``scheduled`` it queues no jobs by itself."""

    def __init__(self, home, *, scheduled=False, **settings):
        self.home = Path(home)
        self.log = self.home / "serve.log"
        options = [] if scheduled else ["--no-schedule"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "polyhouse", "serve", "--port", "0", *options],
            env=environment(home, **settings), cwd=home, stderr=self.log.open("wb"),
        )  # fmt: skip
        line = until(self._said)
        assert line.startswith("serving http://127.0.0.1:"), self.log.read_text()
        self.address = urlsplit(line.split()[1]).netloc

    def _said(self):
        """The line with its address, or that it ended."""
        lines = self.log.read_text().splitlines()
        ended = "ended" if self.process.poll() is not None else ""
        return next((line for line in lines if line.startswith("serving ")), ended)

    def request(self, path, method="GET", body=None, headers=None):
        """One request on a connection of its own: status, headers, text."""
        status, found, content = self.raw(path, method, body, headers)
        return status, found, content.decode()

    def raw(self, path, method="GET", body=None, headers=None):
        """The same with the content as bytes."""
        connection = http.client.HTTPConnection(self.address, timeout=30)
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, content

    def json(self, path, method="GET", body=None, headers=None):
        """One request: status and document."""
        status, _, text = self.request(path, method, None if body is None else json.dumps(body), headers)
        return status, json.loads(text)

    def stop(self):
        """End it as a service manager does; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)

    def kill(self):
        """End it as a power cut does."""
        self.process.kill()
        self.process.wait(timeout=20)


NOBODY = dict.fromkeys(("gamma_url", "clob_url", "data_url"), "http://127.0.0.1:9")
"""Upstreams that do not answer."""


def fill(home, *ids):
    """Put two fills of one wallet into a fresh store; ``ids``: hex of the wallet and of the market."""
    shutil.copytree(_filled(*ids), home, dirs_exist_ok=True, symlinks=True)


@cache
def _filled(*ids):
    """A folder with such a store, made by a process of its own: tests of this one may have a store open."""
    home = Path(tempfile.mkdtemp(prefix="filled-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    script = Path(__file__).parents[1] / "serve" / "fill_store.py"
    done = subprocess.run(
        [sys.executable, str(script), str(home), *ids],
        env=environment(home), capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return home


def until(condition, seconds=120):
    """What ``condition`` returns, as soon as that is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "nothing came of it in time"
        time.sleep(0.05)
    return found
