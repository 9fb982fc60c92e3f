"""The Data API, second version: wallet ledgers, market fills, resolutions, tokens, and what Polymarket publishes."""

from polyhouse.sources.data_api.activity import Activity
from polyhouse.sources.data_api.holders import Holders, MarketPositions
from polyhouse.sources.data_api.leaderboard import BiggestWinners, Leaderboard
from polyhouse.sources.data_api.lookups import Resolutions, Tokens
from polyhouse.sources.data_api.published import Positions, Values
from polyhouse.sources.data_api.published_closed import ClosedPositions
from polyhouse.sources.data_api.recent import RecentTrades
from polyhouse.sources.data_api.status import ServiceStatus, status
from polyhouse.sources.data_api.trades import MarketTrades

__all__ = [
    "Activity",
    "BiggestWinners",
    "ClosedPositions",
    "Holders",
    "Leaderboard",
    "MarketPositions",
    "MarketTrades",
    "Positions",
    "RecentTrades",
    "Resolutions",
    "ServiceStatus",
    "Tokens",
    "Values",
    "status",
]
