"""A real PostgreSQL server for tests and benchmarks: in a temporary folder, on a free port of the loopback address."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

_START_SECONDS = 60
_SETTINGS = {"shared_buffers": "64MB", "max_connections": "120"}
_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""Nothing of a test must survive a power cut."""


class PostgresServer:
    """A server of our own. ``url(name)`` is what an application would be given for one of its databases."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.settings = _SETTINGS if durable else _SETTINGS | _FORGETFUL
        self.programs = _programs()
        self.folder = folder
        self.password = "s3cret-" + secrets.token_hex(8)
        self.port = 0
        self.process: subprocess.Popen | None = None

    def make(self) -> None:
        """Initialise the data folder."""
        password = self.folder / "password"
        password.write_text(self.password)
        _give_away(self.folder)
        _run(
            self.programs / "initdb", "-D", self.folder / "data", "-U", "polyhouse", "--pwfile", password, "-A",
            "scram-sha-256", "-E", "UTF8", "--locale", "C", "--no-sync", "--no-instructions",
        )  # fmt: skip

    def start(self) -> None:
        """Start it (again), on the port that it had before."""
        self.port = self.port or _free_port()
        settings = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        command = [
            self.programs / "postgres", "-D", self.folder / "data", "-h", "127.0.0.1", "-p", str(self.port),
            "-k", self.folder, *settings,
        ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                _as_nobody_special(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )
        self._wait()

    def stop(self, number: int = signal.SIGINT) -> None:
        """End it: SIGINT breaks its connections and writes everything, SIGQUIT leaves at once."""
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def url(self, database: str = "postgres") -> str:
        """URL of a database."""
        return f"postgresql://polyhouse:{self.password}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple]:
        """Run one statement outside a transaction and return its rows."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _wait(self) -> None:
        import psycopg

        end = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}") from None
                time.sleep(0.05)
            else:
                return


def _programs() -> Path:
    """The folder of PostgreSQL's server programs; Debian keeps them off the PATH."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not versions:
        raise RuntimeError(
            "These tests need PostgreSQL's server programs (initdb, postgres). `make test` installs them where it may; "
            "otherwise install them (Debian: apt-get install postgresql) or put their folder on the PATH."
        )
    return versions[-1].parent


def _as_nobody_special(command: list) -> list[str]:
    """The server refuses to run as root: root starts it as an unprivileged user."""
    words = [str(word) for word in command]
    if os.geteuid() != 0:
        return words
    user = _unprivileged()
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *words]


def _unprivileged() -> pwd.struct_passwd:
    with suppress(KeyError):
        return pwd.getpwnam("postgres")
    return pwd.getpwnam("nobody")


def _give_away(folder: Path) -> None:
    if os.geteuid() == 0:
        user = _unprivileged()
        for path in (folder, *folder.iterdir()):
            os.chown(path, user.pw_uid, user.pw_gid)


def _run(*command) -> None:
    done = subprocess.run(_as_nobody_special(list(command)), capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running_server(*, durable: bool = False):
    """A server while the block runs; stopped by its process id, its folder removed."""
    # Not pytest's folder: its parents belong to the user who runs the tests, and the server runs as another one.
    folder = Path(tempfile.mkdtemp(prefix="polyhouse-postgres-"))
    server = PostgresServer(folder, durable=durable)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
