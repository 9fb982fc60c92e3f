"""``make bench``: one table of figures and ratios, with the machine and the versions it was measured on."""

from __future__ import annotations

import argparse
import os
import platform
from importlib.metadata import version

from benchmarks import decode, import_dump, ingest, memory, peers, rebuild


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks")
    parser.add_argument("--wallets", type=int, default=2_000, help="wallets of the simulated universe (ingest)")
    parser.add_argument("--fills", type=int, default=1_000_000, help="fills of the rebuild")
    parser.add_argument("--logs", type=int, default=400_000, help="raw logs of the decoder")
    parser.add_argument("--dump-rows", type=int, default=1_000_000, help="rows of the imported dump")
    parser.add_argument("--universe", type=int, default=10_000, help="wallets of the large universe (memory)")
    options = parser.parse_args()
    libraries = ", ".join(
        f"{name} {version(name)}" for name in ("chdb", "clickhouse-connect", "aiohttp", "msgspec", "numpy")
    )
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {libraries}; seed 1")
    figures = [*ingest.run(options.wallets), *rebuild.run(options.fills), *peers.run(options.fills)]
    figures += decode.run(options.logs)
    for row in [*figures, *import_dump.run(options.dump_rows), *memory.run(1_000, options.universe)]:
        print("{:<46} {:<52} {}".format(*row))


if __name__ == "__main__":
    main()
