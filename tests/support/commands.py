"""Commands of the product in the test's own process, where the process is not what is tested: it costs a second."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from polyhouse.cli.app import run_command_line
from polyhouse.warehouse.engine import Engine
from polyhouse.warehouse.location import parse_location


@dataclass(frozen=True)
class Done:
    """What a command left, with the names of ``subprocess.CompletedProcess``."""

    returncode: int
    stdout: str
    stderr: str


def in_process(home: Path, *arguments: str, **environment: str) -> Done:
    """Run one command in ``home``, with nothing of ours in the environment but that and ``environment``."""
    out, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patched:
        for name in [name for name in os.environ if name.startswith("POLYHOUSE_")]:
            patched.delenv(name)
        for name, value in (environment | {"POLYHOUSE_HOME": str(home)}).items():
            patched.setenv(name, value)
        patched.chdir(home)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            code = run_command_line(list(arguments))
    return Done(code, out.getvalue(), errors.getvalue())


@contextlib.contextmanager
def running_engine(home: Path) -> Iterator[None]:
    """Until the block ends, the engine of a home's store runs on between the commands of this process.

    To start it costs more than most commands do. No other process can open the store, and this one no other store.
    """
    with contextlib.closing(Engine(parse_location(f"chdb://{home}/warehouse"))) as engine, engine.borrow():
        yield
