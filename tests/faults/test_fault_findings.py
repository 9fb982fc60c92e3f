"""Faults that the simulation found in the product, each as small as it can be shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from polyhouse.errors import UpstreamContractError
from polyhouse.ports import Page, Position
from polyhouse.sources.data_api import Activity
from polyhouse.sources.walk import PageGuard, without_digest

NOW = 1_780_000_000
WALLET = "0x" + "a1" * 20


class Client:
    """Answers with the given rows, one page a row, and knows what time it is."""

    def __init__(self, rows: list[dict[str, Any]], now: int = NOW, clock_is_fast: int = 0) -> None:
        self.rows = rows
        self.now = now
        self.fast = clock_is_fast
        self.starts: list[int] = []
        self.clock = self

    def time(self) -> float:
        return self.now + self.fast

    def answered_at(self) -> float:
        return self.now

    async def get(self, path: str, params: dict[str, Any], decode: Callable[[bytes], Any]) -> Any:
        self.starts.append(params["start"])
        rows = [row for row in self.rows if row["timestamp"] >= params["start"]]
        at = int(params["cursor"] or 0)
        following = str(at + 1) if at + 1 < len(rows) else None
        paging = {"has_more": following is not None, "next_cursor": following}
        return decode(msgspec.json.encode({"data": rows[at : at + 1], "pagination": paging}))


def a_row(number: int, ts: int, kind: str = "TRADE", **more: Any) -> dict[str, Any]:
    row = {
        "proxy_wallet": WALLET, "timestamp": ts, "type": kind, "transaction_hash": f"0x{number:064x}", "side": "BUY",
        "condition_id": f"0x{1:064x}", "size": "5", "usdc_size": "2.5", "price": "0.5", "token_id": "7",
    }  # fmt: skip
    return {**row, **more}


async def read(client: Client, position: Position, pages: int = 100) -> list[Page]:
    stream = Activity(client)  # type: ignore[arg-type]
    found = []
    async for page in stream.pages(stream.partition(WALLET), position):
        found.append(page)
        if len(found) == pages:
            break
    return found


async def test_a_redemption_that_does_not_say_what_it_paid_is_no_payout_of_nothing() -> None:
    for kind in ("REDEEM", "CONVERSION"):
        (page,) = await read(Client([a_row(1, NOW, kind, usdc_size=None)]), {})
        assert [reject.reason for reject in page.rejected] == ["bad_value"]
        assert not page.tables


@pytest.mark.parametrize("kind", ["SPLIT", "MERGE"])
async def test_a_whole_set_is_worth_its_dollars_whether_they_are_printed_or_not(kind: str) -> None:
    (printed,) = await read(Client([a_row(1, NOW, kind, usdc_size="5")]), {})
    (silent,) = await read(Client([a_row(1, NOW, kind, usdc_size=None)]), {})
    assert silent.tables == printed.tables


async def test_a_walk_that_was_stopped_in_the_newest_minutes_reads_them_again_however_late_it_goes_on() -> None:
    rows = [a_row(1, NOW - 90_000), a_row(2, NOW - 30), a_row(3, NOW - 20)]
    (_, stopped) = await read(Client(rows), {}, pages=2)
    later = Client([*rows, a_row(4, NOW + 50_000)], now=NOW + 50_001)
    end = (await read(later, stopped.position))[-1].position
    # Something that the upstream learned after the stop, of a second before it, must be asked for.
    again = Client(later.rows, now=NOW + 60_000)
    await read(again, end)
    assert again.starts[0] <= NOW - 30 - 300


async def test_a_clock_that_is_an_hour_fast_takes_no_new_row_for_an_old_one() -> None:
    rows = [a_row(1, NOW - 90_000), a_row(2, NOW - 30), a_row(3, NOW - 20)]
    (_, stopped) = await read(Client(rows, clock_is_fast=3_600), {}, pages=2)
    later = Client([*rows, a_row(4, NOW + 50_000)], now=NOW + 50_001)
    assert (await read(later, stopped.position))[-1].position["from"] == NOW - 30


async def test_rows_that_others_may_lie_over_are_written_again_though_they_are_as_they_were() -> None:
    client = Client([a_row(1, NOW - 90_000)])
    (first,) = await read(client, {})
    (same,) = await read(client, first.position)
    assert (same.tables, same.notes) == ({}, {"repeated_rows": 1})
    (again,) = await read(client, without_digest(first.position))
    assert again.tables == first.tables


def test_a_repeated_page_is_refused_though_one_row_of_it_could_not_be_read() -> None:
    rows: list[Any] = list(range(100))
    guard = PageGuard("here", smallest=99)
    guard.check([*rows[:-1], None])
    with pytest.raises(UpstreamContractError, match="the same page twice"):
        guard.check(rows)
    guard.check([*rows[1:], 100])
    guard.check([None] * 100)


async def test_a_cursor_that_expired_does_not_make_a_walk_forget_what_it_owes() -> None:
    (_, stopped) = await read(Client([a_row(1, NOW - 90_000), a_row(2, NOW - 30), a_row(3, NOW - 20)]), {}, pages=2)
    restarted = Activity(Client([])).restart_position(stopped.position)  # type: ignore[arg-type]
    later = Client([a_row(2, NOW - 30), a_row(4, NOW + 50_000)], now=NOW + 50_001)
    assert (await read(later, restarted))[-1].position["from"] == NOW - 30


async def test_a_walk_in_old_history_owes_nothing() -> None:
    rows = [a_row(n, NOW - 90_000 + n) for n in range(4)]
    pages = await read(Client(rows), {})
    assert "fresh" not in pages[0].position
    assert pages[-1].position["from"] == NOW - 90_000 + 3
