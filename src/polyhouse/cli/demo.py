"""The demo command: the whole product on a simulated Polymarket, compared with the simulator's own truth."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from polyhouse.cli.base import Run, command, next_steps, say
from polyhouse.cli.output import emit_json
from polyhouse.errors import ConfigError

if TYPE_CHECKING:
    from polyhouse.settings import Settings
    from polyhouse.truth_check import Comparison
    from polyhouse.wiring import Stores

# The simulator's limits and the client's are raised together: the demo shows the product, not the waiting.
RATE_SCALE = 50.0
_LEADERS = 10


@command(
    "demo",
    examples=("polyhouse demo", "polyhouse demo --wallets 500 --seed 7", "polyhouse --home /tmp/demo demo --serve"),
)
@click.option("--wallets", type=click.IntRange(4, 100_000), default=200, show_default=True, metavar="N")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, metavar="N", help="Another universe.")
@click.option("--serve", is_flag=True, help="Serve the result afterwards, until Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="For --serve; 0 = any.")
def demo(run: Run, wallets: int, seed: int, serve: bool, port: int) -> int:
    """Run everything on a simulated Polymarket, and compare with its truth. Offline, no key."""
    from polyhouse.cli.simulation import simulated_polymarket
    from polyhouse.wiring import open_stores

    with ExitStack() as stack:
        home = _fresh_home(run, stack)
        upstreams = stack.enter_context(simulated_polymarket(seed, wallets, RATE_SCALE))
        settings = _settings(home, upstreams)
        say(f"simulated Polymarket: seed {seed}, {wallets:,} wallets; store in {home}")
        stores = stack.enter_context(open_stores(settings))
        code = _load(run, settings, stores)
        if code > 1:
            return code
        comparison = _compare(stores, seed, wallets)
        _show(run, stores, comparison)
        if serve and comparison.ok:
            return _serve(settings, stores, port)
        if not serve and "home" in run.flags:
            next_steps(run, f"polyhouse --home {home} leaderboard", f"polyhouse --home {home} serve")
        return code if comparison.ok else 1


def _fresh_home(run: Run, stack: ExitStack) -> Path:
    if "home" not in run.flags:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="polyhouse-demo-")))
    home = run.settings.home
    if (home / "warehouse").exists() or (home / "state.db").exists():
        raise ConfigError(f"{home} holds a store already", hint="the demo needs a fresh folder; choose another --home")
    return home


def _settings(home: Path, upstreams: Any) -> Settings:
    """Settings of their own: whatever the environment says must not mix real data into the demo."""
    from polyhouse.settings import Settings

    return Settings(
        home=home,
        gamma_url=upstreams.gamma_url,
        clob_url=upstreams.clob_url,
        data_url=upstreams.data_url,
        rate_scale=RATE_SCALE,
    )


def _load(run: Run, settings: Settings, stores: Stores) -> int:
    from polyhouse.cli.jobs import print_report, run_in_stores
    from polyhouse.cli.progress import reporter_for

    report, signal_number = run_in_stores(
        settings, stores, reporter_for(run), lambda engine: engine.run(), concurrency=20
    )
    print_report(Run(), "run", report)
    if report.status == "interrupted":
        return 128 + (signal_number or 2)
    return report.exit_code


def _compare(stores: Stores, seed: int, wallets: int) -> Comparison:
    from polyhouse.sim.truth import compute_truth
    from polyhouse.sim.universe import Universe
    from polyhouse.truth_check import compare

    universe = Universe(seed=seed, wallets=wallets)
    truth = compute_truth(universe.transactions(), universe.events, universe.neg_risk_markets)
    return compare(stores.warehouse, truth)


def _show(run: Run, stores: Stores, comparison: Comparison) -> None:
    from polyhouse.cli.leaderboard import print_leaderboard
    from polyhouse.reads.leaderboard import LeaderboardQuery, leaderboard

    board = leaderboard(stores.warehouse, LeaderboardQuery(limit=_LEADERS))
    if run.json:
        emit_json({"leaderboard": board, "truth": _truth_document(comparison)})
    else:
        print_leaderboard(run, board)
        click.echo(f"truth: {comparison.equal} of {comparison.compared} wallets equal")
        click.echo(_provisional_line(comparison))
        sys.stdout.flush()
    for difference in comparison.differences:
        say(f"  {difference}")


def _provisional_line(comparison: Comparison) -> str:
    reasons = ", ".join(f"{name} {count}" for name, count in sorted(comparison.inexact.items()))
    detail = f" ({reasons})" if reasons else ""
    missed = len(comparison.unflagged)
    marked = "; all marked" if comparison.inexact_wallets else ""
    if missed:
        marked = f"; {missed} of them not marked"
    return f"provisional: {comparison.inexact_wallets} wallets whose history REST cannot express{detail}{marked}"


def _truth_document(comparison: Comparison) -> dict[str, Any]:
    return {
        "wallets": comparison.compared,
        "equal": comparison.equal,
        "numbers": comparison.numbers,
        "provisional": comparison.inexact_wallets,
        "provisional_reasons": dict(sorted(comparison.inexact.items())),
        "provisional_unflagged": len(comparison.unflagged),
        "differences": comparison.differences,
    }


def _serve(settings: Settings, stores: Stores, port: int) -> int:
    from polyhouse.serve.runner import serve

    number = serve(
        settings, stores, host="127.0.0.1", port=port, scheduled=False,
        ready=lambda url: say(f"serving {url} (Ctrl-C stops)"),
    )  # fmt: skip
    return 128 + number if number else 0
