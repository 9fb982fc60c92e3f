"""Numbers, times and ids for people: short on the page, exact in the tooltip. Nothing is computed from these.

A missing number is a dash that says why, never a zero.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from markupsafe import Markup

MINUS = "\N{MINUS SIGN}"
_REASONS: Mapping[str, str] = {
    "NO_LOSSES": "no closed bet has lost yet, so there is no ratio",
    "ALL_FLAT": "every closed bet ended within a cent of zero",
    "NO_SAMPLE": "nothing to compute it from yet",
    "SMALL_SAMPLE": "fewer bets or days than the metric needs",
    "UNDEFINED": "the formula has no value for these rows",
    "NOT_COMPUTED": "no build has computed it yet",
    "NEEDS_DATA": "public data cannot give it",
    "NO_DECIDED": "no bet has won or lost yet",
    "NO_COST": "nothing was bought, or an open position has no price",
    "NO_MARK": "an open position has no known price",
    "ONE_SIDED": "on one side no holder has a score",
    "NO_HOLDERS": "nobody is known to hold it",
    "NO_SMART_MONEY": "no elite or smart wallet holds it",
    "NO_VALUE": "these bets have no such value",
    "NEVER": "it has not happened yet",
    "UNKNOWN": "no source has told it",
}
_SPELLED: Mapping[str, str] = {
    "realized": "realised", "unrealized": "unrealised",
    "pnl": "PnL", "roi": "ROI", "clv": "CLV", "ev": "EV", "hhi": "concentration", "var": "VaR", "cvar": "CVaR",
    "cagr": "CAGR", "avg": "average", "sd": "deviation", "abs": "in total", "30d": "30 d", "60d": "60 d", "90d": "90 d",
}  # fmt: skip
_STEPS = ((Decimal(10**9), "B"), (Decimal(10**6), "M"))
_AGES = ((86_400, "d"), (3_600, "h"), (60, "min"))


def nothing(status: str = "UNKNOWN") -> Markup:
    """The dash of a number that does not exist; ``status`` is a status word of a document, or a reason in words."""
    reason = _REASONS.get(status, status.replace("_", " ").lower() if status.isupper() else status)
    return Markup(
        '<span class="nil" title="{0}"><span aria-hidden="true">–</span><span class="vh">no value: {0}</span></span>'
    ).format(reason)


def usd(value: Any, status: str = "NO_MARK", *, signed: bool = False) -> Markup:
    """An amount in USDC: cents below a thousand, whole dollars below a million, then millions; exact in the title."""
    if value is None:
        return nothing(status)
    exact = Decimal(value)
    sign = MINUS if exact < 0 else "+" if signed and exact > 0 else ""
    tone = _tone(exact) if signed else ""
    return Markup('<data class="num{}" value="{}" title="{}{}$">{}${}</data>').format(
        tone, _plain(exact), _grouped(exact), "\N{NO-BREAK SPACE}", sign, _short(abs(exact))
    )


def pnl(value: Any, status: str = "NO_MARK") -> Markup:
    """A profit or loss: signed and coloured."""
    return usd(value, status, signed=True)


def count(value: Any, status: str = "UNKNOWN") -> Markup:
    """A whole number with its thousands separated."""
    if value is None:
        return nothing(status)
    return Markup('<data class="num" value="{0}">{1}</data>').format(int(value), f"{int(value):,}")


def shares(value: Any, status: str = "UNKNOWN") -> Markup:
    """A number of shares, at most two decimals; exact in the title."""
    if value is None:
        return nothing(status)
    exact = Decimal(value)
    return Markup('<data class="num" value="{}" title="{} shares">{}</data>').format(
        _plain(exact), _grouped(exact), _short(exact)
    )


def ratio(value: Any, status: str = "UNDEFINED", places: int = 2) -> Markup:
    """A ratio with a few decimals; exact in the title."""
    if value is None:
        return nothing(status)
    exact = Decimal(value)
    return Markup('<data class="num" value="{0}" title="{0}">{1}</data>').format(_plain(exact), _rounded(exact, places))


def percent(value: Any, status: str = "UNDEFINED", *, signed: bool = False) -> Markup:
    """A fraction as a percentage with one decimal; the exact fraction in the title."""
    if value is None:
        return nothing(status)
    exact = Decimal(value)
    text = _rounded(exact * 100, 1)
    plus = "+" if signed and exact > 0 else ""
    return Markup('<data class="num{}" value="{}" title="{}">{}{}%</data>').format(
        _tone(exact) if signed else "", _plain(exact), _plain(exact), plus, text
    )


def cents(value: Any, status: str = "UNKNOWN") -> Markup:
    """A price of a share (0 to 1 USDC) in cents, as the market itself shows it; exact in the title."""
    if value is None:
        return nothing(status)
    exact = Decimal(value)
    return Markup('<data class="num" value="{}" title="{}{}$">{}¢</data>').format(
        _plain(exact), _plain(exact), "\N{NO-BREAK SPACE}", _rounded(exact * 100, 1)
    )


def moment(text: Any, status: str = "NEVER") -> Markup:
    """A time of a document (ISO 8601, UTC) to the minute; the whole of it in the title."""
    if not text:
        return nothing(status)
    shown = str(text)[:16].replace("T", " ")
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(text, shown)


def day(text: Any, status: str = "NEVER") -> Markup:
    """The day of a time of a document."""
    if not text:
        return nothing(status)
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(text, str(text)[:10])


def ago(text: Any, now: float, status: str = "NEVER") -> Markup:
    """How long ago a time of a document was, in its largest unit; the time itself in the title."""
    if not text:
        return nothing(status)
    seconds = max(0, int(now - seconds_of(str(text))))
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(text, f"{lasting(seconds)} ago")


def lasting(seconds: Any) -> str:
    """A duration in its largest unit: ``45 s``, ``3 min``, ``5 h``, ``2 d``."""
    whole = int(seconds)
    return next((f"{whole // unit} {name}" for unit, name in _AGES if whole >= unit), f"{whole} s")


def seconds_of(text: str) -> float:
    """Unix seconds of a time of a document."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def short_id(text: str) -> str:
    """An address or id with its first and last digits."""
    return text if len(text) <= 13 else f"{text[:6]}…{text[-4:]}"


def words(text: Any) -> str:
    """A word of a document for people: ``profit_factor`` → ``profit factor``."""
    return str(text).replace("_", " ")


def title_words(text: Any) -> str:
    """The same with a capital at the beginning."""
    plain = words(text)
    return plain[:1].upper() + plain[1:]


def metric_value(entry: Mapping[str, Any], direction: str = "none") -> Markup:
    """The value of a metric (``value``, ``unit``, ``status``) in its unit; coloured only where higher is better."""
    value, unit, status = entry["value"], entry["unit"], entry["status"]
    if value is None:
        return nothing(status)
    is_gain = direction == "higher"
    if unit in ("usd", "usd_per_day"):
        return usd(value, signed=is_gain)
    if unit == "percent":
        return percent(Decimal(value) / 100)
    if unit == "count":
        return ratio(value, places=0)
    if unit == "text":
        return _text_value(str(value))
    return ratio(value, places=2 if abs(Decimal(value)) >= 1 else 3)


def measured(value: Any, measure: str) -> Markup:
    """A number of an explanation in its measure: ``usd``, ``count``, ``ratio``, ``shares``, ``time``."""
    if isinstance(value, Mapping):
        return ratio(value["value"], value["status"])
    if measure == "usd":
        return pnl(value)
    if measure == "count":
        return count(value)
    if measure == "time":
        return moment(value)
    if measure == "shares":
        return shares(value)
    return ratio(value, places=3)


def _text_value(text: str) -> Markup:
    """A word as it is; a JSON text of figures by their names, the largest first."""
    if not text.startswith(("{", "[")):
        return Markup("{}").format(text)
    return Markup('<span class="many">{}</span>').format(_figures(json.loads(text, parse_float=Decimal)))


def _figures(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = list(value.items())
        if all(isinstance(figure, int | Decimal) for _, figure in pairs):
            pairs.sort(key=lambda pair: -abs(pair[1]))
        return ", ".join(f"{words(name)} {_figures(figure)}" for name, figure in pairs)
    if isinstance(value, list):
        return ", ".join(_figures(item) for item in value)
    if isinstance(value, int | Decimal):
        return _rounded(Decimal(value), 2)
    return "–" if value is None else str(value)


def lower_first(text: str) -> str:
    """The text within a sentence: names that begin with two capitals stay as they are."""
    return text if text[1:2].isupper() or text[1:3] == "nL" else text[:1].lower() + text[1:]


def metric_title(name: str) -> str:
    """The name of a metric for people: ``avg_win`` → ``Average win``, ``pnl_slope`` → ``PnL slope``."""
    spelled = [_SPELLED.get(word, word) for word in name.split("_")]
    text = " ".join(spelled)
    return text if text[:1].isupper() else text[:1].upper() + text[1:]


def _tone(value: Decimal) -> str:
    return " up" if value > 0 else " down" if value < 0 else ""


def _plain(value: Decimal) -> str:
    """All digits, without an exponent and without trailing zeros."""
    text = format(value, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def _grouped(value: Decimal) -> str:
    whole, _, decimals = _plain(abs(value)).partition(".")
    grouped = f"{int(whole):,}" + (f".{decimals}" if decimals else "")
    return (MINUS if value < 0 else "") + grouped


def _rounded(value: Decimal, places: int) -> str:
    rounded = value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    return (MINUS if rounded < 0 else "") + f"{abs(rounded):,}"


def _short(value: Decimal) -> str:
    size = abs(value)
    for step, letter in _STEPS:
        if size >= step:
            return _rounded(value / step, 2) + letter
    return _rounded(value, 0 if size >= 1_000 else 2)
