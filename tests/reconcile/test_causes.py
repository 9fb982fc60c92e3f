"""The rules that name a cause, one by one, and the published answers as they were recorded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polyhouse.errors import UpstreamContractError
from polyhouse.reconcile.causes import Facts, Published, likely_cause
from polyhouse.reconcile.comparison import Comparison, Reconciliation
from polyhouse.reconcile.headline import Headline
from polyhouse.sources.data_api.published_pnl import UserPnl, UserStats

USD = 1_000_000
RECORDED = Path(__file__).parents[2].parent / "shared/recorded/Polymarket__py-sdk/tests/fixtures/data_v2"
WALLET = "0x7c3db723f1d4d8cb9c550095203b686cb11e5c6b"


@pytest.mark.parametrize(
    ("difference", "ours", "theirs", "cause"),
    [
        (9_999, Facts(), Published(), "equal"),
        (-10_000, Facts(), Published(), "dust"),
        (10_001, Facts(), Published(), "unknown"),
        (40_000, Facts(bought=20_000 * USD, fills=10), Published(), "dust"),
        (3 * USD, Facts(fees=3 * USD), Published(), "fee"),
        (USD, Facts(fees=3 * USD), Published(fees=2 * USD), "fee"),
        (-7 * USD, Facts(unredeemed_losses=7 * USD), Published(), "unredeemed_loser"),
        (7 * USD, Facts(unredeemed_losses=7 * USD), Published(), "unknown"),
        (2 * USD, Facts(unrealized=5 * USD), Published(unrealized=3 * USD), "mark"),
        (2 * USD, Facts(unrealized=None), Published(), "mark"),
        (2 * USD, Facts(is_late=True, is_short=True), Published(), "late_label"),
        (2 * USD, Facts(is_short=True, has_transfers=True), Published(), "missing_history"),
        (2 * USD, Facts(fills=3), Published(fills=4), "missing_history"),
        (2 * USD, Facts(has_transfers=True, has_conversions=True), Published(), "transfer"),
        (2 * USD, Facts(has_conversions=True), Published(), "conversion"),
    ],
)
def test_the_first_rule_that_fits_names_the_cause(difference: int, ours: Facts, theirs: Published, cause: str) -> None:
    assert likely_cause(difference, ours, theirs) == cause


def test_the_headline_counts_each_bound() -> None:
    differences = [0, 10_000, 10_001, USD, 10 * USD, 10 * USD + 1, -5_000]
    rows = [
        Comparison(bytes([n]) * 20, "gross_of_fees", "", 1_000 * USD + d, 1_000 * USD, "equal")
        for n, d in enumerate(differences)
    ]
    result = Reconciliation()
    equal = Comparison(bytes(20), "position_pnl", "2", 5, 5, "equal")
    for row in [*rows, Comparison(bytes(20), "position_pnl", "1", 0, 99, "unknown"), equal]:
        result.add(row)
    found = result.headlines["gross_of_fees"]
    assert found.compared == 7
    assert (result.headlines["position_pnl"].compared, len(result.rows)) == (2, 8), "equal pairs are counted, not kept"
    assert dict(found.within) == {"within_0.01": 3, "within_1": 5, "within_10": 6, "within_0.1_percent": 5}
    assert Headline().share("within_1") is None


class _Answers:
    """A client that answers with a recorded body."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.clock = self

    def time(self) -> float:
        return 1_790_000_000.0

    async def get(self, path: str, params: dict[str, Any], decode: Callable[[bytes], Any]) -> Any:
        assert params["user"]
        return decode(self._body)


def _rows(stream: type[UserStats] | type[UserPnl], document: Any, wallet: str = WALLET) -> list[dict[str, Any]]:
    source: Any = stream(_Answers(json.dumps({"data": document}).encode()))  # type: ignore[arg-type]

    async def read() -> list[Any]:
        return [page async for page in source.pages(source.partition(wallet), {})]

    (page,) = asyncio.run(read())
    assert page.is_last
    assert not page.rejected
    columns = page.tables.get("reported_pnl", {})
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded answers (../shared/recorded) are not here")
def test_recorded_figures_are_read_to_the_micro() -> None:
    (row,) = _rows(UserStats, json.loads((RECORDED / "user-stats.json").read_text(encoding="utf-8")))
    assert row["gross_pnl"] == 1_502_445_596_155
    assert row["realized"] + row["unrealized"] + row["fees_paid"] == row["gross_pnl"]
    assert (row["fees_paid"], row["fills"], row["markets"]) == (9_365_404_723, 248_765, 8_610)
    series = json.loads((RECORDED / "user-pnl.json").read_text(encoding="utf-8"))
    rows = _rows(UserPnl, series)
    assert [row["ts"] for row in rows] == [point["timestamp"] for point in series["points"]]
    assert all(row["series"] == "user-pnl" and row["has_unrealized"] for row in rows)


def test_a_wallet_never_seen_has_no_row_and_another_wallets_answer_is_refused() -> None:
    assert _rows(UserStats, None) == []
    with pytest.raises(UpstreamContractError, match="another wallet"):
        _rows(UserStats, {"proxy_wallet": "0x" + "1" * 40, "all_time_pnl": None})


def test_a_point_without_an_unrealised_part_says_so() -> None:
    point = {"timestamp": 1_780_000_000, "realized_pnl": -2.5, "unrealized_pnl": None, "fees_paid": -0.5}
    (row,) = _rows(UserPnl, {"proxy_wallet": WALLET, "points": [point]})
    assert (row["has_unrealized"], row["gross_pnl"], row["fees_paid"]) == (False, -2_000_000, 500_000)
