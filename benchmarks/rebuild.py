"""Builds of all models against a plain GROUP BY wallet, token over the ledger's rows, in the same engine and run.

``python -m benchmarks.rebuild 10000000`` prints its table alone. Time is CPU time, so that a busy machine measures the
same; each step of a build has its row. Memory is the peak of the process that builds, without the one that fills.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict

from benchmarks.measure import in_fresh_process, measured

_TOKEN = "reverse(toFixedString(reinterpretAsString(toUInt256(1000000 + {})), 32))"
_FLOOR = (
    "SELECT count(), sum(s), sum(u) FROM (SELECT wallet, token, sum(ds) AS s, sum(du) AS u FROM ledger"
    " GROUP BY wallet, token)"
)
_POSITIONS = ("load_tokens", "fold_slice", "build_positions")
"""Steps from ledger rows to positions, units and totals."""
TOUCHED_WALLETS = "SELECT DISTINCT wallet FROM wallet_coverage WHERE cityHash64(wallet) % 100 = 0"
"""One in a hundred."""
_SHOWN = 14
"""So many of the most expensive steps have a row."""
_CHUNK = 1_000_000


def run(fills: int) -> list[tuple[str, str, str]]:
    """Rows of the result table: what, figure, ratio to the floor."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"chdb://{folder}/warehouse"
        in_fresh_process(fill, store, fills)
        return in_fresh_process(_rebuild, store, fills)


def _rebuild(store: str, fills: int) -> list[tuple[str, str, str]]:
    from polyhouse.models.runner import build
    from polyhouse.warehouse import open_warehouse

    steps = _watch_steps()
    with open_warehouse(store) as warehouse:
        with measured() as first:
            build(warehouse)
        made = dict(steps)
        steps.clear()
        with measured() as full:
            report = build(warehouse)
        kept = dict(steps)
        floors = []
        for _ in range(3):
            with measured() as floor:
                warehouse.query(_FLOOR)
            floors.append(floor.cpu)
        touched = [bytes(wallet) for (wallet,) in warehouse.query(TOUCHED_WALLETS).rows]
        with measured() as partial:
            build(warehouse, touched)
        steps.clear()
        trade_on(warehouse, fills)
        with measured() as news:
            build(warehouse, touched)
        of_news = dict(steps)
        disk = warehouse.query(
            "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'observations'"
        ).rows[0][0]
    least, most = min(floors), max(floors)

    def row(name: str, cpu: float) -> tuple[str, str, str]:
        return name, f"{cpu / fills * 1e6:.2f} µs CPU a fill", f"{cpu / most:.1f}-{cpu / least:.1f} × the GROUP BY"

    wallets = report.rows["wallet_coverage"]
    return [
        row(f"GROUP BY wallet, token over {fills:,} fills", most),
        row("ledger rows to positions, units, totals", sum(kept[step] for step in _POSITIONS)),
        row("first build: everything, with the ledger", first.cpu),
        *(row(f"  {name}", made[name]) for name in _dearest(made)),
        row("full build, the ledger kept", full.cpu),
        (f"1 % of the wallets touched ({len(touched):,} of {wallets:,})", f"{partial.cpu:.1f} s CPU",
         f"{partial.cpu / full.cpu:.1%} of a full build"),
        (f"the same, with {fills // 1_000:,} new fills of theirs", f"{news.cpu:.1f} s CPU",
         f"{news.cpu / full.cpu:.1%} of a full build"),
        *((f"  {name}", f"{of_news[name]:.2f} s CPU", "") for name in _dearest(of_news)),
        ("peak memory", f"{partial.peak_mb:.0f} MB", ""),
        ("disk", f"{disk / fills:.0f} bytes a fill in the observations", ""),
    ]  # fmt: skip


def _dearest(steps: dict[str, float]) -> list[str]:
    return sorted(steps, key=steps.get, reverse=True)[:_SHOWN]


def trade_on(warehouse, fills: int) -> None:
    """The touched wallets go on: one fill in a thousand more, on the day after the last one.

    In tokens that are settled, so that nobody else's open shares are worth something else.
    """
    warehouse.command(
        "INSERT INTO observations SELECT * REPLACE (toFixedString(SHA256(toString(tx)), 32) AS tx,"
        " toDateTime(1790000000 + rand() % 86400, 'UTC') AS ts) FROM observations"
        " WHERE cityHash64(wallet) % 100 = 0 AND token IN (SELECT token FROM token_map FINAL WHERE resolved)"
        f" ORDER BY cityHash64(tx) LIMIT {fills // 1_000}"
    )


def _watch_steps() -> dict[str, float]:
    """From now on the CPU seconds of every step that the runner calls add up under its name."""
    from polyhouse.models import runner

    spent: dict[str, float] = defaultdict(float)

    def watched(name, step):
        def timed(*args, **options):
            before = time.process_time()
            try:
                return step(*args, **options)
            finally:
                spent[name] += time.process_time() - before

        return timed

    for name, step in list(vars(runner).items()):
        module = getattr(step, "__module__", "")
        if module.startswith("polyhouse.models.") and module != runner.__name__ and not isinstance(step, type):
            setattr(runner, name, watched(name, step))
    return spent


def fill(store: str, fills: int) -> None:
    """A hundred fills a wallet, both wallets and tokens on a power law; two fifths sales, four fifths resolved."""
    from polyhouse.warehouse import open_warehouse

    with open_warehouse(store) as warehouse:
        _write_markets(warehouse, fills)
        for start in range(0, fills, _CHUNK):
            _write_fills(warehouse, fills, start, min(_CHUNK, fills - start))
        warehouse.command("OPTIMIZE TABLE observations FINAL")


def _write_markets(warehouse, fills: int) -> None:
    conditions = fills // 400 + 10
    token = _TOKEN.format("number")
    warehouse.command(
        f"INSERT INTO tokens (token, condition, outcome, verified, source, version) SELECT {token},"
        " unhex(leftPad(hex(intDiv(number, 2) + 7), 64, '0')), number % 2, true, 'gamma', 1"
        f" FROM numbers({2 * conditions})"
    )
    warehouse.command(
        "INSERT INTO resolutions (condition, source, ts, numerators, version) SELECT"
        " unhex(leftPad(hex(number + 7), 64, '0')), 'data', 1790000000, [1, 0], 1"
        f" FROM numbers({conditions}) WHERE number % 10 < 8"
    )


def _write_fills(warehouse, fills: int, start: int, count: int) -> None:
    conditions = fills // 400 + 10
    chosen = _TOKEN.format(f"rand(2) % toUInt32(1 + pow({2 * conditions}, rand(5) / 4294967295.0))")
    warehouse.command(
        "INSERT INTO observations (wallet, token, tx, source, kind, ts, pos, shares, cash, shares_gross, usdc_gross,"
        " price_e12, version) SELECT"
        f" toFixedString(SHA1(toString(toUInt32(pow({fills / 100}, rand(1) / 4294967295.0)))), 20), {chosen},"
        " toFixedString(SHA256(toString(number)), 32), 'activity', if(rand(3) % 5 < 2, 'SELL', 'BUY'),"
        f" 1760000000 + intDiv(number * 30000000, {fills}), 1, 1000000 + rand(4) % 100000000 AS s,"
        " toInt64(s * (rand(6) % 1000000) / 1000000) AS c, s, c, toInt64(c * 1000000000000 / s), 1"
        f" FROM numbers({start}, {count})"
    )


if __name__ == "__main__":
    for line in run(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000):
        print("{:<52} {:<28} {}".format(*line))
