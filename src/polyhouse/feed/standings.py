"""Leaderboards and flags: kinds without a date, of which the feed tells what moved."""

from __future__ import annotations

from collections.abc import Iterator

from polyhouse.domain.ids import parse_address
from polyhouse.feed.events import Change, name_of
from polyhouse.ports import Warehouse
from polyhouse.reads.flags import Levels, flagged
from polyhouse.reads.leaderboard import LeaderboardQuery, leaderboard

TOP = 10
"""Ranks of a leaderboard that the feed follows."""
BOARDS = tuple((window, sort) for window in ("30d", "lifetime") for sort in ("omega", "pnl"))
"""Leaderboards (window, sort) of all categories together that the feed follows."""


def leaderboard_places(warehouse: Warehouse) -> Iterator[Change]:
    """Who stands where on the leaderboards that are followed."""
    for window, sort in BOARDS:
        document = leaderboard(warehouse, LeaderboardQuery(window=window, sort=sort, limit=TOP))
        for row in document["rows"]:
            body = {"window": window, "sort": sort, "wallet": row["wallet"], "rank": row["rank"]}
            place = name_of("leaderboard", window, sort, row["wallet"])
            yield Change("leaderboard", place, name_of(row["rank"]), body, parse_address(row["wallet"]))


def flag_places(warehouse: Warehouse) -> Iterator[Change]:
    """Wallets that carry a flag."""
    for wallet, flag in flagged(warehouse, Levels(warehouse)):
        body = {"wallet": f"0x{wallet.hex()}", "flag": flag}
        yield Change("flag", name_of("flag", body["wallet"], flag), 1, body, wallet)
