"""``make bench``: one table of figures and ratios, with the machine, the versions and the seeds."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

from benchmarks import decode, import_dump, ingest, load, memory, peers, profiles, reads, rebuild, scaling

_LIBRARIES = ("chdb", "clickhouse-connect", "aiohttp", "msgspec", "numpy", "polars", "duckdb")
Rows = Iterable[tuple[str, str, str]]
_HEAD = """# Benchmarks

One run of `{command}` ({machine}). What limits each path, larger sizes and the aims that are missed:
[measured](measured.md).

DuckDB does the same job as ours on the same rows. Polars has no fold over rows: its script makes net shares and cash,
without the cost of what is held, so nothing of it is split into realised and unrealised; that it is cheaper is the
price of the split, of many more columns, and of a store that keeps them.

| what | figure | beside |
|---|---|---|
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks")
    parser.add_argument("parts", nargs="*", help="parts of the table; all without any")
    parser.add_argument("--page", type=Path, help="write the table as a page of the documentation, too")
    parser.add_argument("--wallets", type=int, default=1_000, help="wallets of the simulated universe (ingest)")
    parser.add_argument("--fills", type=int, default=1_000_000, help="fills of the rebuild, of peers and of reads")
    parser.add_argument("--logs", type=int, default=200_000, help="raw logs of the decoder")
    parser.add_argument("--dump-rows", type=int, default=1_000_000, help="rows of the imported dump")
    parser.add_argument("--universe", type=int, default=3_000, help="wallets of the large universe (memory)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000_000, 4_000_000], help="fills (scaling)")
    options = parser.parse_args()
    table: dict[str, Callable[[], Rows]] = {
        "ingest": lambda: ingest.run(options.wallets),
        "chain": lambda: decode.run(options.logs),
        "import": lambda: import_dump.run(options.dump_rows),
        "rebuild": lambda: rebuild.run(options.fills),
        "peers": lambda: peers.run(options.fills),
        "scaling": lambda: scaling.run(options.sizes),
        "reads": lambda: reads.run(options.fills),
        "api": load.run,
        "memory": lambda: memory.run(1_000, options.universe),
        "profiles": profiles.run,
    }
    if unknown := set(options.parts) - set(table):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(table)}")
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}, Python"
        f" {platform.python_version()}, {libraries}; simulated universes: seed 1, of the API: 7"
    )
    print(machine)
    page = [_HEAD.format(command=" ".join(["python -m benchmarks", *_given()]), machine=machine)]
    for name in options.parts or table:
        for row in table[name]():
            print("{:<72} {:<44} {}".format(*row), flush=True)
            page.append(_line(row))
        if options.page:
            options.page.write_text("".join(page), encoding="utf-8")


def _given() -> list[str]:
    """The arguments, without the page."""
    words = list(sys.argv[1:])
    if "--page" in words:
        at = words.index("--page")
        del words[at : at + 2]
    return words


def _line(row: tuple[str, str, str]) -> str:
    what, figure, ratio = (text.replace("|", "\\|").replace("<", "&lt;") for text in row)
    shown = f"&nbsp;&nbsp;{what.strip()}" if what.startswith(" ") else what
    return f"| {shown} | {figure} | {ratio} |\n"


if __name__ == "__main__":
    main()
