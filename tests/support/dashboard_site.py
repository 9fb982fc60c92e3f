"""The product as somebody runs it, for a browser: a simulated Polymarket, a filled store, a server with a key."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polyhouse as package
from polyhouse.cli.simulation import Upstreams, simulated_polymarket

ADMIN_KEY = "a-key-for-tests-only"
RATE_SCALE = 200.0
START_SECONDS = 60.0


@dataclass(frozen=True)
class Site:
    """A running server and how to reach what is around it."""

    url: str
    home: Path
    environment: dict[str, str]
    process: subprocess.Popen[str]

    def polyhouse(self, *arguments: str) -> str:
        """Run a command of the product; it must succeed."""
        return command(self.environment, *arguments)


def command(environment: dict[str, str], *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "polyhouse", *arguments],
        env=environment, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode in codes, f"{arguments}: {done.stderr}"
    return done.stdout


def environment_of(home: Path, upstreams: Upstreams) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLYHOUSE_")}
    return kept | {
        "PYTHONPATH": str(Path(package.__file__).parents[1]),
        "POLYHOUSE_HOME": str(home),
        "POLYHOUSE_GAMMA_URL": upstreams.gamma_url,
        "POLYHOUSE_CLOB_URL": upstreams.clob_url,
        "POLYHOUSE_DATA_URL": upstreams.data_url,
        "POLYHOUSE_RATE_SCALE": str(RATE_SCALE),
        "POLYHOUSE_ADMIN_API_KEY": ADMIN_KEY,
    }


@contextmanager
def running_site(home: Path, *, wallets: int, seed: int, loaded: int) -> Iterator[Site]:
    """A site with the history of ``loaded`` of ``wallets`` simulated wallets; the others wait in the queue."""
    with simulated_polymarket(seed, wallets, RATE_SCALE) as upstreams:
        environment = environment_of(home, upstreams)
        command(environment, "run", "--max-wallets", str(loaded), codes=(1,))
        with served(home, environment) as site:
            yield site


@contextmanager
def served(home: Path, environment: dict[str, str]) -> Iterator[Site]:
    """Serve a home folder until the end."""
    log = home / "serve.log"
    with log.open("w") as talk:
        process = subprocess.Popen(
            [sys.executable, "-m", "polyhouse", "serve", "--port", "0", "--no-schedule"],
            env=environment, cwd=home, stderr=talk, text=True,
        )  # fmt: skip
    try:
        yield Site(_address(process, log), home, environment, process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _address(process: subprocess.Popen[str], log: Path) -> str:
    """Where it listens, as soon as it says so."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        said = re.search(r"^serving (http://127\.0\.0\.1:\d+)", log.read_text(), re.MULTILINE)
        if said:
            return said[1]
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def chromium() -> str:
    """The program of a Chromium, as ``scripts/chromium.sh`` makes sure of."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    candidates = [os.environ.get("POLYHOUSE_CHROMIUM"), *(shutil.which(name) for name in names)]
    candidates.append("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
    found = next((path for path in candidates if path and Path(path).exists()), None)
    assert found, "no Chromium: sh scripts/chromium.sh installs one, or says what to install"
    return found
