"""One page: the leaderboard as a plain table. Works without scripts, with a keyboard and with a screen reader."""

from __future__ import annotations

from html import escape
from typing import Any

from polyhouse.domain.categories import CATEGORIES
from polyhouse.reads.display import describe_slice, dollars, percent
from polyhouse.reads.leaderboard import SORTS
from polyhouse.reads.totals import OVERALL, WINDOWS

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}th,td{padding:.3rem .6rem;text-align:right}"
    "tr{border-bottom:1px solid #8884}"
    "th:nth-child(2),td:nth-child(2){text-align:left;font-family:ui-monospace,monospace}"
    ":root{color-scheme:light dark}"
)
_HEAD = ("#", "Wallet", "Grade", "PnL $", "Realized $", "Omega (shrunk)", "Win rate", "ROI", "Closed", "Trades")


def leaderboard_page(document: dict[str, Any]) -> str:
    """The leaderboard document as HTML; every text is escaped."""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in _HEAD)
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in document["rows"])
    empty = "" if document["rows"] else "<p>No wallet meets the minimum sample yet.</p>"
    query = f"category={document['category']}&window={document['window']}&sort={document['sort']}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Polyhouse leaderboard</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>Leaderboard</h1>{_form(document)}<p>{escape(describe_slice(document))}. "
        "A ranking is not a prediction.</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{empty}"
        f'<p><a href="/api/leaderboard?{escape(query)}">JSON</a> · <a href="/api/status">Status</a></p></body></html>'
    )


def _cells(row: dict[str, Any]) -> str:
    wallet = escape(row["wallet"])
    cells = (
        str(row["rank"]), f'<a href="/api/wallets/{wallet}">{wallet}</a>', escape(row["grade"] or ""),
        dollars(row["position_pnl"]), dollars(row["realized"]), f"{row['omega_shrunk']:.3f}",
        percent(row["win_rate"]), percent(row["roi"]), str(row["wins"] + row["losses"] + row["flats"]),
        str(row["trades"]),
    )  # fmt: skip
    return "".join(f"<td>{cell}</td>" for cell in cells)


def _form(document: dict[str, Any]) -> str:
    choices = {"category": (OVERALL, *CATEGORIES), "window": WINDOWS, "sort": tuple(SORTS)}
    fields = "".join(
        f'<label>{name} <select name="{name}">'
        + "".join(
            f"<option{' selected' if value == document[name] else ''}>{escape(value)}</option>" for value in values
        )
        + "</select></label> "
        for name, values in choices.items()
    )
    return f'<form method="get" action="/">{fields}<button>Show</button></form>'
