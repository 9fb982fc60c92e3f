"""Import of an orderFilled CSV: read, judge, label and store, per row; and 10,000 more rows on top of a full store."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.measure import in_fresh_process, measured

WALLETS, TOKENS, MORE = 100_000, 20_000, 10_000
_EXCHANGE = "0x4bfb41d5b3570defd03c39a9a4d8de6bd8b8982e"
_HEADER = "timestamp,maker,makerAssetId,makerAmountFilled,taker,takerAssetId,takerAmountFilled,transactionHash\n"


def run(rows: int) -> list[tuple[str, str, str]]:
    """Rows of the result table: what, figure, note."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        in_fresh_process(write_dump, folder, rows)
        first = in_fresh_process(_import_first, folder)
        more = in_fresh_process(_import, folder, "more.csv")
        merges = in_fresh_process(_merge, folder)
        again = in_fresh_process(_import, folder, "all.csv")
        size = (folder / "all.csv").stat().st_size
    return [
        (f"Import of {rows:,} orderFilled rows (CSV)", f"{first[0] / rows * 1e6:.2f} µs CPU a row", f"{size >> 20} MB"),
        ("  peak memory", f"{first[2]:.0f} MB", f"{rows / first[1]:,.0f} rows/s"),
        (f"  {MORE:,} new rows on top", f"{more[0]:.2f} s CPU", f"{more[3]:,} new"),
        ("  merges that the import left for later", f"{merges[0] / rows * 1e6:.2f} µs CPU a row", f"{merges[1]} parts"),
        ("  the same file again", f"{again[0] / rows * 1e6:.2f} µs CPU a row", f"{again[3]:,} new"),
    ]


def write_dump(folder: Path, rows: int) -> None:
    """``all.csv`` and, later in time, ``more.csv``: three rows a transaction, a few wallets and tokens do most."""
    import numpy as np

    rng = np.random.default_rng(1)
    wallets = ["0x" + rng.bytes(20).hex() for _ in range(WALLETS)]
    tokens = [str(int.from_bytes(rng.bytes(32), "big")) for _ in range(TOKENS)]
    (folder / "tokens.txt").write_text("\n".join(tokens))
    written = 0
    for name, count in (("all.csv", rows), ("more.csv", MORE)):
        with (folder / name).open("w") as file:
            file.write(_HEADER)
            left = count
            while left:
                some = min(100_000, left)
                file.write(_rows(rng, some, written, wallets, tokens))
                written, left = written + some, left - some


def _rows(rng, count, first, wallets, tokens) -> str:
    makers = (rng.pareto(1.1, count) * 50).astype(int) % WALLETS
    takers = rng.integers(0, WALLETS, count)
    assets = (rng.pareto(1.1, count) * 20).astype(int) % TOKENS
    amounts = _sorted(rng.integers(1, 10**9, (count, 2)))
    buys = rng.integers(0, 2, count)
    lines, tx = [], ""
    for i in range(count):
        if i % 3 == 0:
            tx = rng.bytes(32).hex()
        usdc, shares = amounts[i]
        taker = _EXCHANGE if i % 3 == 2 else wallets[takers[i]]
        sides = ("0", usdc, tokens[assets[i]], shares) if buys[i] else (tokens[assets[i]], shares, "0", usdc)
        lines.append(
            f"{1_600_000_000 + (first + i) // 20},{wallets[makers[i]]},{sides[0]},{sides[1]},{taker},{sides[2]},"
            f"{sides[3]},0x{tx}\n"
        )
    return "".join(lines)


def _sorted(pairs):
    pairs.sort(axis=1)
    return pairs.tolist()


def _import_first(folder: Path) -> tuple[float, float, float, int]:
    """The first import, into a store that knows all tokens."""
    from polyhouse.settings import Settings
    from polyhouse.warehouse.memory import import_engine
    from polyhouse.wiring import open_stores

    import_engine(for_bulk=True)
    with open_stores(Settings(home=folder / "home")) as stores:
        tokens = [int(text).to_bytes(32, "big") for text in (folder / "tokens.txt").read_text().split()]
        columns = {"token": tokens, "condition": tokens, "outcome": [0] * len(tokens)}
        stores.warehouse.write("tokens", columns | {"source": ["gamma"] * len(tokens)}, run=1, token="bench")
    return _import(folder, "all.csv")


def _merge(folder: Path) -> tuple[float, int]:
    """(CPU seconds, parts left) of an open store that does nothing until the engine has merged what it wants to."""
    from polyhouse.settings import Settings
    from polyhouse.warehouse.memory import import_engine
    from polyhouse.wiring import open_stores

    import_engine(for_bulk=True)
    with open_stores(Settings(home=folder / "home")) as stores, measured() as cost:
        quiet = 0
        while quiet < 3:
            time.sleep(1)
            ((running,),) = stores.warehouse.query("SELECT count() FROM system.merges").rows
            quiet = 0 if running else quiet + 1
        parts = "SELECT count() FROM system.parts WHERE active AND table = 'observations'"
        left = int(stores.warehouse.query(parts).rows[0][0])
    return cost.cpu, left


def _import(folder: Path, name: str) -> tuple[float, float, float, int]:
    """(CPU seconds, wall seconds, peak MB, new rows) of one import in a process of its own, opening included."""
    from polyhouse.cli.import_files import import_files
    from polyhouse.settings import Settings
    from polyhouse.sync.progress import NullReporter
    from polyhouse.warehouse.memory import import_engine
    from polyhouse.wiring import open_stores

    import_engine(for_bulk=True)
    with open_stores(Settings(home=folder / "home")) as stores, measured() as cost:
        (report,) = import_files(
            stores, [folder / name], file_format=None, rejects=folder / "rejects", reporter=NullReporter()
        )
    assert report.rows_rejected == 0
    return cost.cpu, cost.wall, cost.peak_mb, report.rows_new
