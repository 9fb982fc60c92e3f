"""Documents about one thing, with their parts as typed objects."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from polyhouse.api.rows import CategoryTotals, Totals


@dataclass(frozen=True, slots=True)
class Document:
    """A document as ``--json`` prints it; ``page["as_of"]`` and so on gives its parts.

    Attributes:
        document: all of it; money is ``Decimal``.
    """

    document: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.document[name]

    @property
    def as_of(self) -> datetime | None:
        """Newest row of the store that the numbers have seen."""
        text = self.document["as_of"]
        return None if text is None else datetime.fromisoformat(text)

    def _repr_html_(self) -> str:
        plain = {name: value for name, value in self.document.items() if not isinstance(value, list | dict)}
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape('' if value is None else str(value))}</td></tr>"
            for name, value in {**plain, **self._shown()}.items()
        )
        return f"<table><tbody>{rows}</tbody></table>"

    def _shown(self) -> Mapping[str, Any]:
        return {}


@dataclass(frozen=True, slots=True)
class WalletPage(Document):
    """Everything known about one wallet."""

    @property
    def address(self) -> str:
        """Its address."""
        return str(self.document["wallet"])

    @property
    def totals(self) -> Totals:
        """Of the window that was asked for."""
        import msgspec

        return msgspec.convert(self.document["totals"], Totals)

    @property
    def categories(self) -> list[CategoryTotals]:
        """The same per category."""
        import msgspec

        return msgspec.convert(self.document["categories"], list[CategoryTotals])

    def _shown(self) -> Mapping[str, Any]:
        totals = self.document["totals"]
        names = ("realized", "unrealized", "position_pnl", "volume", "trades", "wins", "losses", "win_rate", "roi")
        return {name: totals[name] for name in names}


@dataclass(frozen=True, slots=True)
class MarketPage(Document):
    """One market with its holders, the smart money's side, and who earned."""
