"""How often flags are wrong: 100 random universes with a planted cast, and as many without, through the whole product.

    python -m benchmarks.flags [--universes 100] [--report]

A universe has fair prices (``polyhouse.sim.fair``): nobody but the planted wallets knows more than the prices say, so
whoever else is called skilled or an insider is called so wrongly. The result of each universe is one line of the file
``--to``; universes that are in it are not computed again, so the study can be stopped and gone on with.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

EVERYBODY = {
    "skilled_trader": 1, "specialist": 1, "insider": 1, "lucky_gambler": 1, "bot": 1, "wash_trader": 2,
}  # fmt: skip
"""The planted cast of a universe."""
TRAITS = {
    "skilled": {"skilled_trader"},
    "specialist": {"specialist"},
    "insider": {"insider"},
    "lucky": {"lucky_gambler"},
    "bot": {"bot"},
    "market_maker": {"bot", "market_maker"},
    "wash_trader": {"wash_trader"},
}
"""Flag → kinds of wallets that it is for."""
NEITHER = {
    "skilled": {"specialist", "insider"},
    "specialist": {"skilled_trader", "insider"},
    "insider": {"skilled_trader", "specialist"},
}
"""Kinds that really know something, though not what the flag is for: counted on their own."""
WALLETS, FILLS = 50, 6_000

Key = tuple[int, bool]


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.flags")
    parser.add_argument("--universes", type=int, default=100, help="with the cast, and as many without (seeds 1 …)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--to", type=Path, default=Path("flags-study.jsonl"), help="one line per universe")
    parser.add_argument("--report", action="store_true", help="only print the tables of what is there")
    options = parser.parse_args()
    done = {(line["seed"], line["cast"]) for line in read(options.to)}
    wanted = [(seed, cast) for cast in (True, False) for seed in range(1, options.universes + 1)]
    wanted = [key for key in wanted if key not in done]
    if wanted and not options.report:
        with options.to.open("a") as file, get_context("spawn").Pool(options.workers, maxtasksperchild=10) as pool:
            for number, line in enumerate(pool.imap_unordered(observe, wanted), 1):
                file.write(json.dumps(line) + "\n")
                file.flush()
                print(f"{number} of {len(wanted)}", file=sys.stderr)
    print("\n".join(report(list(read(options.to)))))


def read(path: Path) -> Iterator[dict]:
    if path.exists():
        yield from map(json.loads, path.read_text().splitlines())


def observe(key: Key) -> dict:
    """Kind, flags and testable flags of every wallet of one universe."""
    from polyhouse.models.runner import build
    from polyhouse.sim.universe import Universe
    from polyhouse.warehouse import open_warehouse

    sys.path.append(str(Path(__file__).parents[1] / "tests" / "scores"))
    from score_store import load, universe_tables

    seed, has_cast = key
    universe = Universe(seed=seed, wallets=WALLETS, fills=FILLS, cast=EVERYBODY if has_cast else {})
    with tempfile.TemporaryDirectory() as folder, open_warehouse(f"chdb://{folder}/warehouse") as warehouse:
        load(warehouse, universe_tables(universe))
        build(warehouse)
        rows = warehouse.query(
            "SELECT lower(concat('0x', hex(wallet))), toString(flag), is_flagged FROM wallet_flags_current"
            " WHERE status IN ('OK', 'NO_ROUND_TRIPS', 'NO_VALUE')"
            " UNION ALL SELECT lower(concat('0x', hex(wallet))), 'specialist', max(is_specialist)"
            " FROM category_specialists GROUP BY wallet"
        ).rows
    found: dict[str, dict[str, bool]] = defaultdict(dict)
    for wallet, flag, is_flagged in rows:
        found[wallet][flag] = bool(is_flagged)
    return {
        "seed": seed, "cast": has_cast,
        "wallets": [[kind, found.get(wallet, {})] for wallet, kind in universe.behaviours.items()],
    }  # fmt: skip


def report(lines: list[dict]) -> list[str]:
    """Two Markdown tables: wrong flags, and planted wallets found."""
    counts: dict[str, Counter[str]] = {flag: Counter() for flag in TRAITS}
    for line in lines:
        for flag in TRAITS:
            wrong = 0
            for kind, flags in line["wallets"]:
                place = _place(flag, kind)
                counts[flag][f"{place} tested"] += flag in flags
                counts[flag][place] += flags.get(flag, False)
                counts[flag][f"{place} all"] += 1
                wrong += place == "wrong" and flags.get(flag, False)
            counts[flag]["universes"] += wrong > 0
    with_cast = sum(line["cast"] for line in lines)
    head = (
        "flag",
        "planted found",
        "wrong / tested without the trait",
        "rate, 95 %",
        "universes with a wrong one",
        "others",
    )
    table = [
        f"{with_cast} universes with the cast, {len(lines) - with_cast} without: {WALLETS} wallets, {FILLS:,} fills",
        "",
        f"| {' | '.join(head)} |",
        "|---" * len(head) + "|",
    ]
    for flag, count in counts.items():
        low, high = wilson(count["wrong"], count["wrong tested"])
        table.append(
            f"| {flag} | {count['right']} of {count['right all']} | {count['wrong']} of {count['wrong tested']:,}"
            f" | {low:.2%} – {high:.2%} | {count['universes']} of {len(lines)}"
            f" | {count['other']} of {count['other tested']} |"
        )
    return table


def _place(flag: str, kind: str) -> str:
    return "right" if kind in TRAITS[flag] else "other" if kind in NEITHER.get(flag, ()) else "wrong"


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Interval of a rate (accounting §4.2)."""
    if not n:
        return 0.0, 1.0
    p = hits / n
    middle, spread = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return max(0.0, (middle - spread) / (1 + z * z / n)), min(1.0, (middle + spread) / (1 + z * z / n))


if __name__ == "__main__":
    main()
