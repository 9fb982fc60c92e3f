"""Read-only tools for assistants (Model Context Protocol) over the read commands.

An assistant reads what it is given word by word, so the longest lists are paged here. What was left out is counted in
the answer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

import polyhouse
from polyhouse.errors import BadInputError, ConfigError, PolyhouseError
from polyhouse.reads.exact import encode

if TYPE_CHECKING:
    from mcp.server import MCPServer

Ask = Callable[[str, dict[str, Any]], dict[str, Any]]
"""Answers a read command: its name, its arguments → the document (``reads.queries.answer`` with open stores)."""

PAGE = 20
MAX_PAGE = 200
MAX_SQL_ROWS = 1_000
_INSTRUCTIONS = (
    "Polyhouse holds a copy of Polymarket in the user's own store. Money is USDC, exact to six decimals; ratios are"
    " fractions; times are UTC. An undefined number is null beside a status that says why; it is never zero."
    " 'provisional' lists why a wallet's numbers may still move: repeat it when you quote them. Nothing here changes"
    " anything."
)

Category = Annotated[str, Field(description="overall, or one of the categories that `categories` lists")]
Window = Annotated[str, Field(description="1d 7d 30d 90d 180d lifetime; a window ends at the newest row")]
Address = Annotated[str, Field(description="wallet address: 0x and 40 hex digits")]
AsOf = Annotated[str | None, Field(description="ISO 8601: as it was known then, if models of that moment are kept")]
Limit = Annotated[int, Field(description="rows to return", ge=1, le=MAX_PAGE)]
Offset = Annotated[int, Field(description="rows to skip", ge=0)]


def assistant_server(ask: Ask) -> MCPServer[Any]:
    """The server with all its tools, not yet running.

    Raises:
        ConfigError: the package ``mcp`` is not installed.
    """
    try:
        from mcp.server import MCPServer
        from mcp.server.mcpserver.exceptions import ToolError
        from mcp.types import ToolAnnotations
    except ImportError as error:
        raise ConfigError("assistants need the package mcp", hint="pip install 'polyhouse[mcp]'") from error

    def as_text(tool: Callable[..., dict[str, Any]]) -> Callable[..., str]:
        @functools.wraps(tool)
        def answered(*args: Any, **arguments: Any) -> str:
            try:
                # The text is ours: another encoder would pass exact numbers through binary floats.
                return encode(tool(*args, **arguments)).decode()
            except PolyhouseError as error:
                raise ToolError(f"{error}. {error.hint}" if error.hint else str(error)) from error

        answered.__annotations__ = tool.__annotations__ | {"return": str}
        return answered

    server: MCPServer[Any] = MCPServer(
        "polyhouse", version=polyhouse.__version__, instructions=_INSTRUCTIONS, log_level="WARNING"
    )
    harmless = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
    tools = Tools(ask)
    for name in TOOLS:
        server.add_tool(as_text(getattr(tools, name)), name=name, annotations=harmless, structured_output=False)
    return server


TOOLS = (
    "leaderboard", "specialists", "wallet", "wallet_units", "wallet_positions", "explain", "wallet_metrics",
    "wallet_days", "market", "metric", "categories", "status", "sql",
)  # fmt: skip
"""Names of the tools: methods of ``Tools``, whose docstrings are their descriptions."""


class Tools:
    """What an assistant can ask."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def leaderboard(
        self, category: Category = "overall", window: Window = "lifetime",
        sort: Annotated[str, Field(description="omega (shrunk), pnl, win_rate, roi, volume, or a metric")] = "omega",
        min_trades: Annotated[int, Field(description="fills at least", ge=0)] = 0,
        min_units: Annotated[int, Field(description="closed bets at least", ge=0)] = 20,
        exclude_bots: Annotated[bool, Field(description="leave out bots and market makers")] = False,
        active_within_days: Annotated[int | None, Field(description="traded in the last days", ge=1)] = None,
        limit: Limit = PAGE,
        cursor: Annotated[str | None, Field(description="next_cursor of the page before")] = None,
        as_of: AsOf = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Ranked wallets: who made money, and how surely."""
        return self._past(
            "leaderboard",
            {
                "category": category, "window": window, "sort": sort, "min_trades": min_trades,
                "min_units": min_units, "exclude_bots": exclude_bots, "exclude_market_makers": exclude_bots,
                "active_within_days": active_within_days, "limit": limit, "cursor": cursor,
            },
            as_of,
        )  # fmt: skip

    def specialists(
        self, category: Annotated[str | None, Field(description="one category; none = all")] = None, limit: Limit = PAGE
    ) -> dict[str, Any]:
        """Wallets that are better in one category than elsewhere and than others there, with the statistics."""
        return self._ask("specialists", {"category": category, "limit": limit})

    def wallet(self, address: Address, window: Window = "lifetime", as_of: AsOf = None) -> dict[str, Any]:
        """One wallet: totals, results by category, scores, how complete its history is. Units, positions and metrics
        have tools of their own.
        """
        document = self._past("wallet", {"address": address, "window": window}, as_of)
        document.pop("metrics", None)
        for name in ("units", "positions"):
            document[f"{name}_count"] = len(document.pop(name))
        return document

    def wallet_units(self, address: Address, limit: Limit = PAGE, offset: Offset = 0) -> dict[str, Any]:
        """The bets of a wallet (a condition, or a neg-risk market), largest results first."""
        return self._page(address, "units", limit, offset)

    def wallet_positions(self, address: Address, limit: Limit = PAGE, offset: Offset = 0) -> dict[str, Any]:
        """The outcome tokens a wallet ever held, largest realised results first."""
        return self._page(address, "positions", limit, offset)

    def explain(
        self, address: Address,
        name: Annotated[str, Field(description="a number of the wallet, such as realized, or a metric")],
        category: Category = "overall", window: Window = "lifetime",
        unit: Annotated[str | None, Field(description="the number of this bet")] = None,
        token: Annotated[str | None, Field(description="the number of this position")] = None,
        limit: Limit = PAGE, offset: Offset = 0,
    ) -> dict[str, Any]:  # fmt: skip
        """Where a number of a wallet comes from: what it is the sum of, down to the transactions."""
        return self._ask(
            "explain",
            {
                "address": address, "name": name, "category": category, "window": window, "unit": unit,
                "token": token, "limit": limit, "offset": offset,
            },
        )  # fmt: skip

    def wallet_metrics(
        self, address: Address, category: Category = "overall", window: Window = "lifetime"
    ) -> dict[str, Any]:
        """All metrics of a wallet with units, samples and, where there is no value, the reason."""
        return self._ask("wallet_metrics", {"address": address, "category": category, "window": window})

    def wallet_days(self, address: Address, category: Category = "overall", window: Window = "30d") -> dict[str, Any]:
        """The daily result, equity and capital at risk of a wallet."""
        return self._ask("wallet_days", {"address": address, "category": category, "window": window})

    def market(self, market: Annotated[str, Field(description="condition id, slug or token id")]) -> dict[str, Any]:
        """One market: outcomes and prices, holders with their scores, smart money against the price, top traders."""
        return self._ask("market", {"condition_id": market})

    def metric(
        self, name: Annotated[str, Field(description="a metric's name or number; empty: the list of all")] = ""
    ) -> dict[str, Any]:
        """The definition of a metric: meaning, formula, unit, minimum sample, source."""
        from polyhouse.metrics.catalogue import METRICS, find

        if not name:
            return {"metrics": [{"name": one.name, "state": one.state, "meaning": one.meaning} for one in METRICS]}
        found = find(name)
        if found is None:
            raise BadInputError(f"unknown metric {name[:40]!r}", hint="call it without a name for the list of all")
        return found.definition()

    def categories(self, window: Window = "lifetime") -> dict[str, Any]:
        """What it is like to bet in each category: who trades, who wins, whether anybody does. 30d to lifetime."""
        return self._ask("categories", {"window": window})

    def status(self) -> dict[str, Any]:
        """How fresh and complete the store is: wallets by state, rows, the last run."""
        return self._ask("status", {})

    def sql(
        self,
        statement: Annotated[str, Field(description="one SELECT in ClickHouse's dialect; SHOW TABLES lists tables")],
    ) -> dict[str, Any]:
        """Read-only SQL on the store, up to 1,000 rows: more are an error, so add LIMIT. Views whose names begin with
        vw_ show ids as text.
        """
        return self._ask("sql", {"statement": statement, "max_rows": MAX_SQL_ROWS})

    def _past(self, name: str, arguments: dict[str, Any], as_of: str | None) -> dict[str, Any]:
        return self._ask(name, arguments if as_of is None else arguments | {"as_of": as_of})

    def _page(self, address: str, name: str, limit: int, offset: int) -> dict[str, Any]:
        document = self._ask("wallet", {"address": address})
        rows = sorted(document[name], key=lambda row: abs(row["realized"]), reverse=True)
        shown = rows[offset : offset + limit]
        return {
            "wallet": document["wallet"], "as_of": document["as_of"], "provisional": document["provisional"],
            "count": len(rows), "offset": offset, "left_out_after": max(len(rows) - offset - len(shown), 0),
            name: shown,
        }  # fmt: skip
