"""A BigQuery emulator for tests: a process of its own, in an environment of its own, on free ports of the loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

_START_SECONDS = 90
_ROOT = Path(__file__).resolve().parents[2]


def _environment() -> Path:
    """The emulator's environment; BIGQUERY_EMULATOR names another one."""
    folder = Path(os.environ.get("BIGQUERY_EMULATOR") or _ROOT / ".venv-bigquery")
    if not (folder / "bin" / "bqemulator").exists():
        raise RuntimeError(f"These tests need the BigQuery emulator in {folder}: `make bigquery` installs it.")
    return folder


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running_emulator():
    """The address of an empty emulator while the block runs; stopped by its process id."""
    folder, port = _environment(), _free_port()
    # For tests only what the product reads itself is set: the emulator wants its home for DuckDB's extensions.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BQEMU", "PYTHON", "POLYHOUSE"))}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [folder / "bin" / "bqemulator", "start", "--rest-port", str(port), "--grpc-port", str(_free_port()),
             "--log-level", "error", "--log-format", "json", "--ephemeral"],
            env=kept | {"HOME": str(folder / "home")}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        try:
            _wait(process, port, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process, port, log) -> None:
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
        except urllib.error.HTTPError:
            return  # it answers
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                log.seek(0)
                raise RuntimeError(f"the BigQuery emulator did not start:\n{log.read()[-4000:]}") from None
            time.sleep(0.1)
        else:
            return
