"""Builds of 1 % of the wallets, on a store that is kept, so that they can be repeated without the build of all.

``python -m benchmarks.partial FOLDER 10000000`` makes the store, builds everything and notes what that cost;
``python -m benchmarks.partial FOLDER`` builds 1 % of the wallets there, step by step and statement by statement, and
``python -m benchmarks.partial FOLDER news`` does after one fill in a thousand more of theirs. Time is CPU time. Before
each build it waits until the engine has merged what the build before left.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import in_fresh_process, measured
from benchmarks.rebuild import TOUCHED_WALLETS, fill, trade_on

FULL = "full.json"
"""Of a store: what the build of everything cost."""
_KEPT = ("price history", "ledger")
"""Steps of the first build of all whose work later ones find done."""
_SHOWN = 30
"""So many of the dearest statements are told."""
_TEXT = 150
_MERGED_SECONDS = 300.0


def make(folder: Path, fills: int) -> None:
    """Make a store of so many fills, build everything and note what it would cost with the ledger and prices kept."""
    folder.mkdir(parents=True)
    store = f"chdb://{folder}/warehouse"
    in_fresh_process(fill, store, fills)
    (folder / FULL).write_text(json.dumps({"fills": fills} | in_fresh_process(_build_all, store)))


def _build_all(store: str) -> dict[str, float]:
    from polyhouse.warehouse import open_warehouse

    with open_warehouse(store) as warehouse, watched_steps() as steps:
        with measured() as first:
            _build(warehouse, None)
        wait_for_merges(warehouse)
    made = sum(steps.seconds[step] for step in _KEPT)
    return {"first": first.cpu, "full": first.cpu - made, "peak_mb": first.peak_mb} | steps.seconds


def wait_for_merges(warehouse) -> None:
    """Until the engine merges nothing any more, or five minutes."""
    end, quiet = time.monotonic() + _MERGED_SECONDS, 0
    while quiet < 3 and time.monotonic() < end:
        time.sleep(1.0)
        quiet = 0 if warehouse.query("SELECT count() FROM system.merges").rows[0][0] else quiet + 1


def partial(store: str, times: int, new_fills: int = 0) -> list[dict[str, object]]:
    """Build 1 % of the wallets so many times; of each build the CPU seconds, of all, by step and by statement.

    Args:
        store: where everything was built.
        times: the second build finds what the first had to load.
        new_fills: of these wallets, before each.
    """
    from polyhouse.warehouse import open_warehouse

    found = []
    with open_warehouse(store) as warehouse, watched_steps() as steps:
        touched = [bytes(wallet) for (wallet,) in warehouse.query(TOUCHED_WALLETS).rows]
        statements = Spent()
        for name in ("query", "command", "insert_arrow"):
            setattr(warehouse, name, statements.counted(getattr(warehouse, name)))
        warehouse.query_columns = statements.streamed(warehouse.query_columns)
        for _ in range(times):
            if new_fills:
                trade_on(warehouse, new_fills * 1_000)
            wait_for_merges(warehouse)
            statements.clear()
            steps.clear()
            with measured() as cost:
                _build(warehouse, touched)
            found.append({
                "wallets": len(touched), "cpu": cost.cpu, "wall": cost.wall, "peak_mb": cost.peak_mb,
                "steps": dict(steps.seconds), "statements": dict(statements.seconds),
                "count": sum(statements.counts.values()), "counts": dict(statements.counts),
            })  # fmt: skip
    return found


def _build(warehouse, wallets: list[bytes] | None) -> None:
    from polyhouse.models.runner import build

    build(warehouse, wallets)


@contextmanager
def watched_steps() -> Iterator[Spent]:
    """The CPU seconds of each step of the builds in the block."""
    from polyhouse.models.build import Build

    spent, of_build = Spent(), Build.step

    @contextmanager
    def step(run, name):
        with of_build(run, name), spent.of(name):
            yield

    Build.step = step
    try:
        yield spent
    finally:
        Build.step = of_build


class Spent:
    """CPU seconds of this process under names."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.counts: dict[str, int] = defaultdict(int)

    def clear(self) -> None:
        self.seconds.clear()
        self.counts.clear()

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        before = time.process_time()
        yield
        self.seconds[name] += time.process_time() - before
        self.counts[name] += 1

    def counted(self, work):
        def done(sql, *args, **options):
            with self.of(" ".join(sql.split())):
                return work(sql, *args, **options)

        return done

    def streamed(self, work):
        """Of a stream what happens while somebody waits for its next part."""

        def done(sql, *args, **options):
            name, parts = " ".join(sql.split()), None
            while True:
                with self.of(name):
                    parts = iter(work(sql, *args, **options)) if parts is None else parts
                    part = next(parts, None)
                if part is None:
                    return
                yield part

        return done


def main(folder: Path, what: str = "") -> None:
    """Print what one build cost, or make the store first."""
    if what.isdigit():
        make(folder, int(what))
    noted = json.loads((folder / FULL).read_text())
    full, new_fills = noted["full"], noted["fills"] // 1_000 if what == "news" else 0
    for one in in_fresh_process(partial, f"chdb://{folder}/warehouse", 2, new_fills):
        share = f"{one['cpu'] / full:.2%} of {full:.1f}"
        print(f"{one['wallets']:,} wallets: {one['cpu']:.2f} s CPU, {share}; {one['count']} statements")
        for name, seconds in sorted(one["steps"].items(), key=lambda item: -item[1]):
            print(f"  {name:<16} {seconds:.2f}")
        rest = one["cpu"] - sum(one["steps"].values())
        print(f"  {'the rest':<16} {rest:.2f}")
    dearest = sorted(one["statements"].items(), key=lambda item: -item[1])
    for text, seconds in dearest[:_SHOWN]:
        print(f"{seconds:6.2f} {one['counts'][text]:3} {len(text):6} {text[:_TEXT]}")
    print(f"{sum(one['statements'].values()):.2f} s in statements")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
