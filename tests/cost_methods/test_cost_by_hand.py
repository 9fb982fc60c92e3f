"""Cost methods on histories worked out by hand, and on the reference vectors of the pnl-subgraph."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from score_store import USD, columns, empty, fill, load, market_tables, resolution

from polyhouse import replay
from polyhouse.errors import BadInputError
from polyhouse.ledger.chain import observations
from polyhouse.ledger.vector_logs import parse_case
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.reads.cost_methods import cost_methods

pytestmark = pytest.mark.usefixtures("accounts_only")

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "reference" / "vectors" / "accounting.json"
NAMES = ("fees", "loser", "averages", "untracked")


def paid(row: dict[str, Any], fee_cents: int) -> dict[str, Any]:
    """A fill of CLOB V2 with a fee on top of, or out of, its cash."""
    fee = fee_cents * USD // 100
    cash = row["usdc_gross"] + (fee if row["kind"] == "BUY" else -fee)
    return row | {"cash": cash, "fee_usdc": fee}


@pytest.fixture(scope="module")
def told(shared: Warehouse) -> dict[str, dict[str, Any]]:
    """Four wallets, each with one position in a market of its own, and their documents."""
    given = fill(8, 2, 50, 0, market=4) | {"kind": "TRANSFER_IN", "cash": 0, "usdc_gross": 0, "shares_gross": 0}
    rows = [
        paid(fill(5, 1, 100, 4_000), 100), paid(fill(5, 2, 50, 3_000, kind="SELL"), 50),
        fill(6, 1, 100, 4_000, market=2),
        fill(7, 1, 3, 100, market=3), fill(7, 2, 3, 120, kind="SELL", market=3),
        fill(8, 1, 100, 4_000, market=4), given, fill(9, 3, 10, 500, market=4),
    ]  # fmt: skip
    lost = resolution(1_780_000_000 + 9_000, (0, 1), market=2)
    empty(shared)
    load(
        shared,
        market_tables(1, 2, 3, 4)
        | {"observations": columns({"fee_usdc": 0} | row for row in rows), "resolutions": lost},
    )
    build(shared)
    return {name: cost_methods(shared, "0x" + f"{place:02x}" * 20) for place, name in enumerate(NAMES, 5)}


def causes(part: dict[str, Any]) -> dict[str, tuple[Decimal, Decimal]]:
    return {one["cause"]: (one["realized"], one["unrealized"]) for one in part["causes"]}


def test_fees_are_what_we_deduct_and_they_do_not(told: dict[str, dict[str, Any]]) -> None:
    # 100 shares for 40 $ and 1 $ fee; 50 of them for 30 $ less 0.50 $ fee; the last price is 0.60.
    (one,) = told["fees"]["positions"]
    assert (one["ours"]["realized"], one["ours"]["unrealized"]) == (Decimal("9.0"), Decimal("9.5"))
    assert (one["polymarket"]["realized"], one["polymarket"]["unrealized"]) == (Decimal(10), Decimal(10))
    assert one["polymarket"]["avg_price"] == Decimal("0.4")
    assert one["ours"]["avg_price"] == Decimal("0.41")
    assert causes(one) == {"fees": (Decimal(-1), Decimal("-0.5"))}
    assert told["fees"]["totals"]["difference"]["total"] == Decimal("-1.5")


def test_a_loser_that_nobody_redeemed_moves_from_unrealised_to_realised(told: dict[str, dict[str, Any]]) -> None:
    (one,) = told["loser"]["positions"]
    assert (one["ours"]["realized"], one["ours"]["unrealized"]) == (Decimal(-40), 0)
    assert (one["polymarket"]["realized"], one["polymarket"]["unrealized"]) == (0, Decimal(-40))
    assert causes(one) == {"resolution": (Decimal(-40), Decimal(40))}
    assert told["loser"]["totals"]["difference"]["total"] == 0


def test_averages_are_truncated_there_and_exact_here(told: dict[str, dict[str, Any]]) -> None:
    # 3 shares for 1 $: their average is 0.333333, so that a sale at 0.40 gains a micro and a half more.
    (one,) = told["averages"]["positions"]
    assert one["polymarket"]["realized"] == Decimal("0.200001")
    assert one["ours"]["realized"] == Decimal("0.2")
    assert causes(one) == {"rounding": (Decimal("-0.000001"), 0)}


def test_shares_without_a_seen_purchase_count_there_only(told: dict[str, dict[str, Any]]) -> None:
    (one,) = told["untracked"]["positions"]
    # 150 shares at 0.50 less 150 at their average 0.40; ours are 100.
    assert (one["polymarket"]["balance"], one["polymarket"]["unrealized"]) == (Decimal(150), Decimal(15))
    assert one["ours"]["unrealized"] == Decimal(10)
    assert causes(one) == {"untracked": (0, Decimal(-5))}


def test_an_unknown_method_is_refused(shared: Warehouse) -> None:
    with pytest.raises(BadInputError, match="unknown cost method 'fifo'"):
        cost_methods(shared, "0x" + "05" * 20, "fifo")


@pytest.mark.skipif(not VECTORS.is_file(), reason="the vector files are not beside this checkout")
def test_the_vectors_of_the_subgraph(shared: Warehouse) -> None:
    empty(shared)
    cases = [case for case in json.loads(VECTORS.read_text())["vectors"] if "subgraph" in case["expected"]]
    parsed = [parse_case(case["input"], f"{place}:") for place, case in enumerate(cases)]
    made = [(one, observations(one.transactions, one.registry, use_transfers=one.use_transfers)) for one in parsed]
    replay._load(shared, made)
    build(shared)
    rows = shared.query(
        "SELECT wallet, token, tracked, avg_price_e6, realized, bought FROM positions_polymarket FINAL"
    ).rows
    stored = {(bytes(wallet), bytes(token)): numbers for wallet, token, *numbers in rows}
    compared = 0
    for case, one in zip(cases, parsed, strict=True):
        names = {f"{one.symbols.name(w)}/{one.symbols.name(t)}": (w, t) for w, t in stored}
        for name, wanted in case["expected"]["subgraph"].items():
            got = dict(zip(("amount", "avgPrice", "realizedPnl", "totalBought"), stored[names[name]], strict=True))
            assert {key: got[key] for key in wanted} == wanted, (case["id"], name)
            compared += 1
    assert compared > 15
