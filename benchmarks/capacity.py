"""The plan for the whole of Polymarket, from what was measured: ``python -m benchmarks.capacity`` prints its tables.

``docs/capacity.md`` holds them; a test computes them again. Change a constant here, print, and put them there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

HOUR, DAY = 3_600, 86_400
SCALE = 0.8
"""Of each published limit (POLYHOUSE_RATE_SCALE)."""


@dataclass(frozen=True)
class Size:
    """How large Polymarket is. Counts of upstream.md §0 and §6, and what follows from them."""

    fills: int = 1_500_000_000
    wallets: int = 2_900_000
    markets: int = 3_300_000
    events: int = 1_140_000
    blocks: int = 93_700_000
    fills_a_day: int = 4_600_000
    """943 million in March 2026, 1.5 billion four months later."""
    active_a_day: int = 150_000
    """Wallets that trade on a day: assumed."""

    def times(self, factor: int) -> Size:
        """So many times as large; the chain has no more blocks."""
        return replace(
            self, fills=self.fills * factor, wallets=self.wallets * factor, markets=self.markets * factor,
            events=self.events * factor, fills_a_day=self.fills_a_day * factor,
            active_a_day=self.active_a_day * factor,
        )  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """What rows cost. Bytes: on disk, 300,000 fills of 3,000 wallets, built; CPU: docs/measured.md."""

    observation_bytes: int = 77
    ledger_bytes: int = 76
    trade_bytes: int = 79  # priced_trades
    price_bytes: int = 39  # priced_fills and token_prices
    day_bytes: int = 26  # a row of wallet_days
    days_a_fill: float = 1.0
    position_bytes: int = 123  # positions, positions_polymarket, units
    fills_a_position: float = 4.8
    wallet_bytes: int = 6_060  # totals, metrics of four windows, scores, flags
    category_bytes: int = 4_270  # metrics of four windows in one category
    categories: float = 3.0  # in which a wallet trades: assumed
    log_bytes: int = 150  # of chain_logs: estimated from their random bytes
    logs_a_fill: float = 5.0  # fills, matches, transfers, splits: estimated
    log_wire_bytes: int = 900
    ingest_seconds: float = 82e-6  # CPU, a row of a wallet feed, socket to warehouse
    decode_seconds: float = 13e-6  # CPU, a log, HyperSync document to ledger row
    build_seconds: float = 48e-6  # CPU, a fill, a build of everything
    page_rows: int = 1_000
    registry_bytes: int = 600  # a wallet in the state store with its indexes and checkpoints: estimated


@dataclass(frozen=True)
class Prices:
    """US dollars a month, about what large clouds ask without a contract in 2026: assumed."""

    vcpu: float = 25.0  # with 4 GB of memory
    disk_gb: float = 0.10
    object_gb: float = 0.023


@dataclass(frozen=True)
class Source:
    """One way to fill the store: its requests, and how many a second one address may make."""

    name: str
    requests: float
    per_second: float
    cpu_hours: float
    wire_bytes: float = 0.0
    gigabits: float = 1.0

    @property
    def hours(self) -> float:
        """At the limit, or as fast as the line is, whichever takes longer."""
        return max(self.requests / self.per_second, self.wire_bytes * 8 / (self.gigabits * 1e9)) / HOUR


NIGHT_HOURS = 6.0
"""In which a build of all wallets shall be over."""
NODE_CORES, NODE_DISK = 16, 4e12
HEADROOM = 1.6
"""Disk over what is stored: a build of everything writes its tables beside the old ones, merges write parts anew."""


def sources(size: Size, of: Measured) -> list[Source]:
    """Every way to the history, and what is needed beside it."""
    logs = size.fills * of.logs_a_fill
    rows = size.fills / of.page_rows
    return [
        Source("wallet feeds (`/v2/activity`, 40 a second)", size.wallets + rows, 40 * SCALE,
               size.fills * of.ingest_seconds / HOUR, size.fills * 870 / 8),
        Source("market feeds (`/v2/trades`, 20 a second, 20 markets a request; three years only)",
               max(rows, size.markets / 20), 20 * SCALE, size.fills * of.ingest_seconds / HOUR, size.fills * 870 / 8),
        Source("chain, one JSON-RPC node (20 a second, 10,000 logs a request)",
               max(logs, size.blocks) / 10_000, 20 * SCALE, logs * of.decode_seconds / HOUR, logs * of.log_wire_bytes),
        Source("chain, HyperSync (10,000 logs a document, compressed 4 ×)",
               logs / 10_000, 20 * SCALE, logs * of.decode_seconds / HOUR, logs * of.log_wire_bytes / 4),
        Source("events and markets (Gamma, one page after another, 0.25 s each)",
               size.events / 100 + size.markets / 100, 4.0, 0.1),
        Source("tokens and resolutions (40 a second, 20 a request)", 2 * size.markets / 20, 40 * SCALE, 0.2),
        Source("reported positions (15 a second)", size.wallets, 15 * SCALE, 1.0),
    ]  # fmt: skip


def stored(size: Size, of: Measured) -> dict[str, tuple[float, float]]:
    """Kind of rows → how many, and their bytes."""
    positions = size.fills / of.fills_a_position
    logs = size.fills * of.logs_a_fill
    days = size.fills * of.days_a_fill
    return {
        "observations": (size.fills, size.fills * of.observation_bytes),
        "ledger": (size.fills, size.fills * of.ledger_bytes),
        "priced trades": (size.fills, size.fills * of.trade_bytes),
        "prices": (2 * size.fills, size.fills * of.price_bytes),
        "days of wallets": (days, days * of.day_bytes),
        "positions and units": (positions, positions * of.position_bytes),
        "totals, metrics, scores, flags": (
            size.wallets, size.wallets * (of.wallet_bytes + of.categories * of.category_bytes),
        ),
        "logs of the chain (only if it is read)": (logs, logs * of.log_bytes),
        "state store": (size.wallets, size.wallets * of.registry_bytes),
    }  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What it takes: nodes of the warehouse, bytes on their disks, dollars a month."""

    disk: float
    build_hours: float
    nodes: int
    cores: int
    month: float


def plan(size: Size, of: Measured, prices: Prices) -> Plan:
    """The machines for a size: as many nodes as the disk or the night needs, one worker machine, one state store."""
    warehouse = sum(count for kind, (_, count) in stored(size, of).items() if kind != "state store")
    disk = warehouse * HEADROOM
    hours = size.fills * of.build_seconds / HOUR
    cores = max(4, 4 * math.ceil(hours / NIGHT_HOURS / 4))
    nodes = max(math.ceil(disk / NODE_DISK), math.ceil(cores / NODE_CORES))
    others = 4 + 2  # server and workers, state store
    month = (
        max(cores, 4 * nodes) * prices.vcpu + others * prices.vcpu + disk / 1e9 * prices.disk_gb
        + warehouse / 1e9 * prices.object_gb
    )  # fmt: skip
    return Plan(disk, hours, nodes, max(cores, 4 * nodes), month)


def loads(size: Size, of: Measured) -> dict[str, tuple[float, str]]:
    """Resource of one installation (one node, one address) → how much of it is used, and what to do when it is full."""
    requests = 4 * size.active_a_day + size.fills_a_day / of.page_rows
    disk = plan(size, of, Prices()).disk
    found = {source.name.split(",")[0].split(" (")[0]: source.hours for source in sources(size, of)}
    return {
        "build of all wallets in a night, one node": (
            size.fills * of.build_seconds / HOUR / NODE_CORES / NIGHT_HOURS,
            "shards: each builds its own wallets; or build all once a week, touched wallets in between",
        ),
        "requests of a day by wallet feeds, one address": (
            requests / (40 * SCALE) / DAY, "follow the chain instead: its requests grow with logs, not with wallets",
        ),
        "first read by wallet feeds within a week, one address": (
            found["wallet feeds"] / 168, "read the chain, or add workers with addresses of their own",
        ),
        "disk of one node": (disk / NODE_DISK, "shards, or keep logs of the chain elsewhere"),
        "state store in 64 GB": (size.wallets * of.registry_bytes / 64e9, "a larger PostgreSQL"),
    }  # fmt: skip


def tables() -> str:
    """The tables of the page."""
    size, of, prices = Size(), Measured(), Prices()
    large = size.times(10)
    parts = [
        _table("kind of rows | rows | bytes | rows at 10 × | bytes at 10 ×", [
            (kind, _count(rows), _bytes(total), _count(stored(large, of)[kind][0]), _bytes(stored(large, of)[kind][1]))
            for kind, (rows, total) in stored(size, of).items()
        ]),
        _table("source | requests | hours, one address | CPU hours | hours at 10 ×", [
            (one.name, _count(one.requests), _hours(one.hours), _hours(one.cpu_hours), _hours(ten.hours))
            for one, ten in zip(sources(size, of), sources(large, of), strict=True)
        ]),
        _plans({"today": plan(size, of, prices), "10 ×": plan(large, of, prices)}),
        _table("of one installation | today | 10 × | then", [
            (name, f"{share:.0%}", f"{loads(large, of)[name][0]:.0%}", then)
            for name, (share, then) in sorted(loads(size, of).items(), key=lambda item: -item[1][0])
        ]),
    ]  # fmt: skip
    return "\n\n".join(parts)


def _plans(found: dict[str, Plan]) -> str:
    rows: list[tuple[str, Callable[[Plan], str]]] = [
        ("disk of the warehouse, with headroom", lambda one: _bytes(one.disk)),
        ("CPU hours of a build of all wallets", lambda one: _hours(one.build_hours)),
        ("cores so that it is over in a night", lambda one: str(one.cores)),
        ("nodes of the warehouse", lambda one: str(one.nodes)),
        ("dollars a month, all machines, disks and one backup", lambda one: f"{one.month:,.0f}"),
    ]
    return _table(f"what it takes | {' | '.join(found)}", [(name, *map(show, found.values())) for name, show in rows])


def _table(head: str, rows: list[tuple[str, ...]]) -> str:
    line = "|".join(["---"] * len(head.split(" | ")))
    return "\n".join([f"| {head} |", f"|{line}|", *(f"| {' | '.join(row)} |" for row in rows)])


def _count(number: float) -> str:
    if number >= 1e9:
        return f"{number / 1e9:,.1f} billion"
    return f"{number / 1e6:,.1f} million" if number >= 1e6 else f"{number:,.0f}"


def _bytes(number: float) -> str:
    return f"{number / 1e12:,.1f} TB" if number >= 1e12 else f"{number / 1e9:,.1f} GB"


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:,.1f}"


if __name__ == "__main__":
    print(tables())
