"""The documents of the routes, field by field, and the tables in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from polyhouse.reads.leaderboard import SHOWN
from polyhouse.serve.schemas.fields import Field, maybe, object_schema
from polyhouse.serve.schemas.rows import (
    BOARD_ROW,
    CATEGORY,
    DAY_ROW,
    FLAG,
    INTERVAL,
    JOB,
    METRIC_DEFINITION,
    METRIC_ROW,
    OUTCOME,
    POSITION,
    SCORE,
    SPECIALIST_ROW,
    SYNC,
    TOTALS,
    TRADE_ROW,
    UNIT,
    WALLET,
    metric_field,
)

_AS_OF = Field("as_of", "time", "newest row of the store that the numbers have seen", nullable=True)
_COUNT = Field("count", "count", "rows of this answer")
_NEXT = Field("next_cursor", "text", "word for the next page; null on the last one", nullable=True)
_WINDOW = Field("window", "word", "1d 7d 30d 90d 180d lifetime; ends at as_of")


_MORE = Field("next", "text", "cursor of the next page; null on the last one", nullable=True)

DOCUMENTS: Mapping[str, tuple[Field, ...]] = {
    "Leaderboard": (
        _WINDOW, CATEGORY, Field("sort", "word", "what it is sorted by"),
        Field("reverse", "flag", "worst first"),
        Field("min_trades", "count", "fills at least"), Field("min_units", "count", "closed units at least"),
        Field("min_gains_losses", "money", "gains + losses at least, USDC"),
        Field("filters", "document", "filters that are on"), _AS_OF,
        Field("changed_since_first_page", "flag", "a build came between the pages"),
        Field("total", "count", "wallets that pass the filters"), _COUNT, _NEXT,
        Field("rows", "document", "best first", of=BOARD_ROW, each=True),
    ),
    "Wallet": (
        WALLET, _AS_OF,
        Field("coverage", "word", "chain, rest or mixed", nullable=True),
        Field("provisional", "words", "why a number may still move"),
        Field("coverage_details", "document", "sources, complete from and to, gaps"),
        Field("totals", "document", "of the window", of=TOTALS),
        Field("categories", "document", "the same per category", of=(CATEGORY, *TOTALS), each=True),
        Field("units", "document", "bets: conditions or neg-risk markets", of=UNIT, each=True),
        Field("positions", "document", "every token ever held", of=POSITION, each=True),
        Field("scores", "document", "heuristics with their inputs", of=(
            Field("whale", "document", of=(*SCORE, Field("is_whale", "flag", "volume of 10,000 $ and more"))),
            Field("insider", "document", of=(*SCORE, Field("is_suspected", "flag", "7 and more; no accusation"))),
        )),
        Field("flags", "document", "skill, luck, machines, wash trading: how sure, and why", of=FLAG, each=True),
        Field("intervals", "document", "bootstrap, 20 to 400 closed bets", of=INTERVAL, each=True),
        Field("metrics", "document", "per category and window", each=True),
        Field("sync", "document", "its place in the queue", of=SYNC),
    ),
    "Trades": (WALLET, _AS_OF, _COUNT, _NEXT, Field("rows", "document", "newest first", of=TRADE_ROW, each=True)),
    "Feed": (
        Field("events", "document", "oldest first; each with the facts of its kind (docs/live.md)", each=True, of=(
            Field("id", "count", "grows by one, never used again"),
            Field("kind", "word", "trade, resolution, leaderboard or flag"),
            Field("action", "word", "new, changed or removed"),
            Field("published_at", "time", "when it became known here"),
        )),
        Field("last_id", "count", "where to go on: `after` of the next page"),
        Field("newest_id", "count", "of all that is kept"),
        Field("missed", "flag", "events after `after` are no longer kept: look at the tables once"),
    ),
    "Days": (
        WALLET, CATEGORY, _WINDOW, _AS_OF,
        Field("from", "date", "first day", nullable=True), Field("to", "date", "last day", nullable=True),
        Field("bankroll", "money", "peak capital at risk", nullable=True),
        Field("opening", "document", "how things stood when the window began"),
        Field("days", "document", "days on which something changed, oldest first", of=DAY_ROW, each=True),
    ),
    "WalletMetrics": (
        WALLET, CATEGORY, _WINDOW, _AS_OF, Field("metrics", "document", "every metric", each=True),
    ),
    "Explained": (
        WALLET, Field("name", "word", "the number"), Field("level", "word", "wallet, unit or position"),
        maybe(CATEGORY), _WINDOW, Field("unit", "id", "its unit", nullable=True),
        Field("token_id", "token", "its token", nullable=True), _AS_OF, Field("source", "text", "of the definition"),
        Field("value", "value", "the number", nullable=True),
    ),
    "Specialists": (
        maybe(CATEGORY), _AS_OF, Field("rules", "document", "the test"),
        Field("tests", "document", "wallets tested per category"),
        Field("total", "count", "specialists"), _COUNT,
        Field("rows", "document", "smallest q-value first", of=SPECIALIST_ROW, each=True),
    ),
    "Market": (
        Field("condition_id", "id", "the market"), Field("question", "text", nullable=True),
        Field("slug", "text", nullable=True), maybe(CATEGORY), Field("neg_risk", "flag", nullable=True),
        Field("closed", "flag", nullable=True), Field("end_at", "time", nullable=True),
        Field("resolved_at", "time", nullable=True), _AS_OF,
        Field("outcomes", "document", of=OUTCOME, each=True),
        Field("holders", "document", "the largest, with their scores", each=True),
        Field("smart_money", "document", "where wallets with a record stand"),
        Field("traders", "document", "best and worst of the market"),
        Field("flow", "document", "volume over time"), Field("prices", "document", "price over time", nullable=True),
    ),
    "Categories": (
        Field("categories", "words", "all there are"), Field("version", "word", "of the list"),
        Field("overall", "word", "name of all together"), Field("windows", "words", "all there are"), _WINDOW, _AS_OF,
        Field("rows", "document", "what it is like to bet there", each=True),
    ),
    "Metrics": (_COUNT, Field("rows", "document", "the catalogue", of=METRIC_DEFINITION, each=True)),
    "Status": (
        Field("wallets", "document", "wallets in the queue by status"),
        Field("trades", "count", "fills in the computed totals", nullable=True),
        Field("markets", "count", "markets known", nullable=True),
        Field("unmapped_tokens", "count", "tokens without a market", nullable=True),
        Field("token_map", "document", "how much of what is traded has a market", nullable=True),
        Field("checks", "document", "invariants: how many were tested, which are broken", nullable=True),
        Field("quarantined", "document", "rows that could not be read, by reason"), _AS_OF,
        Field("last_run", "document", "newest run", nullable=True), Field("queue", "document", "who waits"),
        Field("upstreams", "document", "requests of the last run", each=True),
        Field("schedule", "document", "next planned jobs of this server", of=(
            Field("is_on", "flag", "this server queues them"),
            Field("next", "document", of=(Field("plan", "word"), Field("at", "time")), each=True),
        )),
        Field("jobs", "document", "of the server", of=(
            Field("running", "document", each=True), Field("queued", "count", "jobs that wait"),
        )),
    ),
    "Job": JOB,
    "Jobs": (_COUNT, Field("rows", "document", "newest first", of=JOB, each=True), _MORE),
    "Queued": (WALLET, Field("queued", "flag", "it waits in the queue because of this request")),
    "Schedule": (
        Field("is_on", "flag", "this server queues the plans"), Field("time_zone", "word"), _COUNT,
        Field("rows", "document", of=(
            Field("plan", "word", "name of its action"), Field("summary", "text", "what it does"),
            Field("rule", "text", "crontab line; null = off", nullable=True),
            Field("next_at", "time", "next time", nullable=True),
            Field("last_job", "document", "newest job of the plan", nullable=True),
        ), each=True),
    ),
    "Audit": (_COUNT, Field("rows", "document", "newest first", of=(
        Field("id", "count"), Field("at", "time", nullable=True), Field("actor", "text", "name of the key, - = none"),
        Field("address", "text", "of the client"), Field("action", "word"), Field("target", "text", nullable=True),
        Field("outcome", "text", "done, or status and code of the refusal"), Field("request_id", "text"),
    ), each=True), _MORE),
    "Problem": (
        Field("type", "text"), Field("title", "text"), Field("status", "count", "HTTP status"),
        Field("detail", "text", "what happened"), Field("code", "word", "stable, as on the command line"),
        Field("hint", "text", "what to do", nullable=True), Field("request_id", "text", "as in the server's log"),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Table:
    """The table inside a document: where its rows are, and their fields."""

    path: str
    fields: tuple[Field, ...]


TABLES: Mapping[str, Table] = {
    "leaderboard": Table("rows", BOARD_ROW),
    "specialists": Table("rows", SPECIALIST_ROW),
    "wallet_trades": Table("rows", TRADE_ROW),
    "wallet_days": Table("days", DAY_ROW),
    "wallet_metrics": Table("metrics", METRIC_ROW),
    "metrics": Table("rows", METRIC_DEFINITION),
}
"""Read function → its table, which is also answered as CSV and Arrow."""


def components() -> dict[str, Any]:
    """The schemas of the OpenAPI document."""
    schemas = {name: object_schema(fields) for name, fields in DOCUMENTS.items()}
    metrics = {name: metric_field(name).schema() for name in SHOWN}
    row = schemas["Leaderboard"]["properties"]["rows"]["items"]["properties"]
    row["metrics"] |= {"properties": metrics}
    return schemas
