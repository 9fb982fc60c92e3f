"""What the pages of a wallet show, made from its documents: headline figures, charts, badges, groups of metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from fastapi import Request

from polyhouse.domain.categories import CATEGORIES
from polyhouse.metrics.catalogue import METRIC_WINDOWS, METRICS
from polyhouse.reads.totals import OVERALL, WINDOWS
from polyhouse.serve.pages.charts import Chart, Series
from polyhouse.serve.pages.tables import choices

_SHOWN = 5
_DAY_SECONDS = 86_400
_STRETCHES = ((62, 1, "day"), (730, 7, "week"), (100_000, 30, "month"))
"""(days of history at most, days that one bar stands for, what it is called)."""
PROVISIONAL: Mapping[str, str] = {
    "not_computed": "no build has computed this wallet yet",
    "conversion": "conversions, which the REST source tells only in part",
    "resolution": "a payout that is not proven yet",
    "unseen_shares": "it sold or redeemed more shares than ever arrived",
    "shares_differ": "Polymarket reports another balance: shares moved outside of trades",
    "redemption": "worthless shares were burned, and the source does not say how many",
    "unmapped": "rows of tokens that nobody could name yet",
    "fills_only": "some fills come from a source that tells neither refunds nor position changes",
}
"""Why a number may still move, in words; other reasons are shown as they are."""

FLAG_TONES: Mapping[str, str] = {
    "skilled": "good", "specialist": "mark", "lucky": "warn", "insider": "warn", "bot": "", "market_maker": "",
    "wash_trader": "bad",
}  # fmt: skip
"""Flag → tone of its badge."""

POSITION_KEYS: Mapping[str, Callable[[Any], Any]] = {
    "shares": lambda row: row["shares"] + row["external_shares"],
    "cost": lambda row: row["cost"],
    "realized": lambda row: row["realized"],
    "unrealized": lambda row: row["unrealized"],
}
COST_KEYS: Mapping[str, Callable[[Any], Any]] = {
    "difference": lambda row: None if row["difference"]["total"] is None else abs(row["difference"]["total"]),
    "ours": lambda row: row["ours"]["total"],
    "polymarket": lambda row: row["polymarket"]["total"],
}
UNIT_KEYS: Mapping[str, Callable[[Any], Any]] = {
    "closed": lambda row: row["closed_at"],
    "realized": lambda row: row["realized"],
    "unrealized": lambda row: row["unrealized"],
}


def conditions_of(row: Mapping[str, Any]) -> Iterable[str]:
    """The condition ids of a position or of a bet."""
    return row["condition_ids"][:1] if "condition_ids" in row else [row["condition_id"]]


def chart_window(window: str) -> str:
    """The window of the daily series beside the totals of ``window``."""
    return window if window in METRIC_WINDOWS else "30d"


def badges(document: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(tone, words, explanation) of what is to be known before the numbers are read."""
    found: list[tuple[str, str, str]] = []
    reasons = document["provisional"]
    if reasons:
        why = "; ".join(PROVISIONAL.get(reason, reason.replace("_", " ")) for reason in reasons)
        found.append(("warn", "provisional", f"A number may still move: {why}."))
    gaps = document["coverage_details"]["gaps"]
    if document["coverage_details"]["complete_to"] and not gaps:
        found.append(("good", "complete", f"The history is complete to {document['coverage_details']['complete_to']}."))
    elif gaps:
        found.append(
            ("warn", f"{len(gaps)} gap{'s' if len(gaps) > 1 else ''}", "Times that no complete source covers.")
        )
    scores = document["scores"]
    if scores["whale"]["is_whale"]:
        found.append(("mark", "whale", "10,000 USDC of volume or more."))
    if scores["insider"]["is_suspected"]:
        found.append(("warn", "insider score", "An insider score of 7 or more: a ranking aid, no accusation."))
    for flag in document.get("flags", ()):
        if flag["is_flagged"]:
            words = flag["flag"].replace("_", " ") + (f": {flag['category']}" if flag["category"] else "")
            found.append((FLAG_TONES.get(flag["flag"], "mark"), words, f"{flag['meaning']}."))
    return found


def overview(request: Request, document: Mapping[str, Any], days: Mapping[str, Any]) -> dict[str, Any]:
    """The overview: charts, categories, the windows to choose from."""
    categories = [row for row in document["categories"] if row["trades"] or row["realized"]]
    results = [abs(row["position_pnl"]) for row in categories if row["position_pnl"] is not None]
    window = request.query_params.get("window", "lifetime")
    return {
        "equity": equity_chart(days),
        "bars": daily_chart(days),
        "bankroll": days["bankroll"],
        "chart_window": days["window"],
        "window": window,
        "categories": sorted(categories, key=lambda row: row["position_pnl"] or Decimal(0), reverse=True),
        "largest": max(results, default=None),
        "windows": choices(request, "window", WINDOWS, "lifetime", window),
        "provisional_words": PROVISIONAL,
        "flag_tones": FLAG_TONES,
    }


def equity_chart(days: Mapping[str, Any]) -> Chart:
    """Equity at the end of each day, and what of it was realised."""
    rows = days["days"]
    opening = days["opening"]
    times = [_day(row["day"]) for row in rows]
    equity = [row["equity"] for row in rows]
    realized = [row["realized_total"] for row in rows]
    if rows and days["from"] and _day(days["from"]) < times[0]:
        times, equity, realized = (
            [_day(days["from"]), *times], [opening["equity"], *equity], [opening["realized_total"], *realized],
        )  # fmt: skip
    if rows and days["to"] and _day(days["to"]) > times[-1]:
        times, equity, realized = [*times, _day(days["to"])], [*equity, equity[-1]], [*realized, realized[-1]]
    series = (
        Series("Realised and unrealised", equity, 1, "step", fill=True), Series("Realised", realized, 2, "step"),
    )  # fmt: skip
    return Chart("Equity", times, series, "usd", _in_words(times, equity))


def daily_chart(days: Mapping[str, Any]) -> Chart:
    """What each day brought; each week or month where the window is too long to tell days apart."""
    rows = [row for row in days["days"] if row["realized"]]
    span = (_day(rows[-1]["day"]) - _day(rows[0]["day"])) // _DAY_SECONDS if rows else 0
    length, word = next((length, word) for most, length, word in _STRETCHES if span <= most)
    sums: dict[int, Decimal] = {}
    for row in rows:
        stretch = _day(row["day"]) // _DAY_SECONDS // length
        sums[stretch] = sums.get(stretch, Decimal(0)) + row["realized"]
    # An empty stretch on either side gives a single bar its width.
    stretches = [min(sums) - 1, *sums, max(sums) + 1] if sums else []
    times = [stretch * length * _DAY_SECONDS for stretch in stretches]
    values = [sums.get(stretch, Decimal(0)) for stretch in stretches]
    ups = [value if value > 0 else None for value in values]
    downs = [value if value < 0 else None for value in values]
    won, lost = sum(value is not None for value in ups), sum(value is not None for value in downs)
    summary = f"{won} {word}s with a gain, {lost} with a loss." if sums else "Nothing was realised in this window."
    series = (Series("Gain", ups, 3, "bars"), Series("Loss", downs, 4, "bars"))
    return Chart(f"Realised per {word}", times, series, "usd", summary)


def extremes(units: Sequence[Mapping[str, Any]]) -> tuple[list[Any], list[Any]]:
    """The closed bets that won and lost the most."""
    closed = [unit for unit in units if unit["result"] is not None]
    best = sorted((unit for unit in closed if unit["realized"] > 0), key=lambda unit: -unit["realized"])
    worst = sorted((unit for unit in closed if unit["realized"] < 0), key=lambda unit: unit["realized"])
    return best[:_SHOWN], worst[:_SHOWN]


def largest_cause(causes: Sequence[Mapping[str, Any]]) -> str:
    """The cause that makes most of a difference, "" without any."""
    known = [cause for cause in causes if cause["total"]]
    return max(known, key=lambda cause: abs(cause["total"]))["cause"] if known else ""


def metrics(request: Request, document: Mapping[str, Any]) -> dict[str, Any]:
    """All metrics with their definitions, by what they are computed from."""
    definitions = {metric.name: metric for metric in METRICS}
    groups: dict[str, list[Any]] = {}
    for entry in document["metrics"]:
        metric = definitions[entry["name"]]
        groups.setdefault(metric.relation or "needs data", []).append((metric, entry))
    return {
        "groups": groups,
        "metrics_document": document,
        "categories": choices(request, "category", (OVERALL, *CATEGORIES), OVERALL, document["category"]),
        "windows": choices(request, "window", METRIC_WINDOWS, "lifetime", document["window"]),
    }


def _day(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def _in_words(times: Sequence[int], values: Sequence[Decimal | None]) -> str:
    known = [(time, value) for time, value in zip(times, values, strict=True) if value is not None]
    if not known:
        return "No day of this window has a value."
    first, last = known[0], known[-1]
    low, high = min(value for _, value in known), max(value for _, value in known)
    return (
        f"From {first[1]:,.2f} $ on {_date(first[0])} to {last[1]:,.2f} $ on {_date(last[0])}; "
        f"lowest {low:,.2f} $, highest {high:,.2f} $."
    )


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
