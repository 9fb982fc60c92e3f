"""The tables of the dataset: columns, identity, partitions, and the local rows they follow.

Text ids are as people write them (``0x…``, token ids as decimals), money and shares are whole micro-units, times are
UTC; what is unknown is null. Trades, markets, events and ``daily_sync_checkpoint`` have the names of older systems.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

KINDS: Mapping[str, tuple[str, str, int]] = {
    "address": ("STRING", "NULLABLE", 44),
    "hash": ("STRING", "NULLABLE", 68),
    "token": ("STRING", "NULLABLE", 80),
    "word": ("STRING", "NULLABLE", 14),
    "text": ("STRING", "NULLABLE", 96),
    "texts": ("STRING", "REPEATED", 96),
    "integer": ("INT64", "NULLABLE", 8),
    "flag": ("BOOL", "NULLABLE", 1),
    "time": ("TIMESTAMP", "NULLABLE", 8),
    "decimal": ("NUMERIC", "NULLABLE", 16),
    "ratio": ("FLOAT64", "NULLABLE", 8),
    "document": ("STRING", "NULLABLE", 512),
}
"""Kind of a column → BigQuery type, mode, and the bytes that BigQuery counts for a value (of text: two more than its
length, with a length that values of ours do not exceed on average). No column is REQUIRED: the columns of a Parquet
file are not, and a load job refuses to weaken a table."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the dataset.

    Attributes:
        name: of the table.
        columns: name → kind, in order.
        key: the full identity of a row.
        cluster: columns by which BigQuery sorts blocks.
        day: the time column whose days are partitions; '' = not partitioned. It belongs to the key.
        wallet: the column with the wallet, if rows belong to one.
        source: SELECT of the local rows with these columns; ``/*wallets*/`` is a condition on ``wallet``.
        counted: local table whose rows tell how much there is to compare.
        of_all: rows of wallets may change whoever was built.
        is_generated: the columns are the local store's of today, and the dataset's table is brought to them.
    """

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]
    cluster: tuple[str, ...] = ()
    day: str = ""
    wallet: str = ""
    source: str = ""
    counted: str = "ledger"
    of_all: bool = False
    is_generated: bool = False

    def width(self, columns: Sequence[str] | None = None) -> int:
        """Bytes that BigQuery counts for a row, or for these columns of it."""
        return sum(KINDS[self.columns[name]][2] for name in columns or self.columns)


_ADDRESS = "lower(concat('0x', hex({0})))"
_TOKEN = "toString(reinterpretAsUInt256(reverse({0})))"  # noqa: S105 - an id, no secret
_HASH = "if({0} = '', NULL, lower(concat('0x', hex({0}))))"
_TOKENS = "(SELECT token, condition, outcome, toString(category) AS category FROM token_map FINAL)"
_FACTS = f"{_HASH.format('t.condition')} AS condition_id, nullIf(t.category, '') AS category"

TRADES = Table(
    "trades",
    {
        "id": "hash", "wallet_address": "address", "token_id": "token", "condition_id": "hash", "category": "word",
        "timestamp": "time", "side": "word", "price": "decimal", "shares_normalized": "decimal", "token_label": "word",
        "tx_hash": "hash", "order_hash": "hash", "source": "word", "block": "integer", "tx_index": "integer",
        "pos": "integer", "sub": "integer", "ordinal": "integer", "shares": "integer", "cash": "integer",
        "price_e12": "integer", "label": "word", "fee": "integer", "volume": "integer", "role": "word",
        "counts": "flag",
    },
    key=(
        "wallet_address", "token_id", "timestamp", "tx_hash", "source", "side", "block", "tx_index", "pos", "sub",
        "ordinal", "shares", "cash", "price_e12", "label",
    ),
    cluster=("wallet_address", "condition_id"),
    day="timestamp",
    wallet="wallet_address",
    source=f"""
SELECT
    concat(lower(concat('0x', hex(l.tx))), '-', lower(hex(l.row_key))) AS id,
    {_ADDRESS.format("l.wallet")} AS wallet_address, {_TOKEN.format("l.token")} AS token_id, {_FACTS},
    toUnixTimestamp(l.ts) AS timestamp, toString(l.kind) AS side,
    multiIf(o.price_e12 > 0, toDecimal128(toDecimal128(o.price_e12, 12) / 1000000000000, 9),
            o.shares_gross > o.refund_shares,
            toDecimal128(toDecimal128(intDiv(toInt128(o.usdc_gross - o.refund_usdc) * 1000000000,
                                             o.shares_gross - o.refund_shares), 9) / 1000000000, 9),
            NULL) AS price,
    toDecimal128(toDecimal128(abs(l.ds), 9) / 1000000, 9) AS shares_normalized,
    nullIf(d.outcome_names[t.outcome + 1], '') AS token_label,
    lower(concat('0x', hex(l.tx))) AS tx_hash,
    if(o.order_hash = toFixedString('', 32), NULL, lower(concat('0x', hex(o.order_hash)))) AS order_hash,
    toString(l.source) AS source, l.block AS block, l.tx_index AS tx_index, l.pos AS pos, l.sub AS sub,
    o.ordinal AS ordinal, abs(l.ds) AS shares, abs(l.du) AS cash, o.price_e12 AS price_e12, toString(l.label) AS label,
    l.fee AS fee, l.volume AS volume, nullIf(toString(l.role), '') AS role, CAST(l.label, 'String') = '' AS counts
FROM (SELECT * FROM ledger FINAL WHERE kind IN ('BUY', 'SELL') AND /*wallets*/) AS l
LEFT JOIN
(
    SELECT wallet, token, tx, source, row_key, ordinal, price_e12, order_hash, usdc_gross, refund_usdc, shares_gross,
           refund_shares
    FROM observations FINAL WHERE kind IN ('BUY', 'SELL') AND /*wallets*/
) AS o ON o.wallet = l.wallet AND o.token = l.token AND o.tx = l.tx AND o.source = l.source
    AND o.row_key = l.row_key
LEFT JOIN {_TOKENS} AS t ON t.token = l.token
LEFT JOIN (SELECT condition_id, outcome_names FROM markets_dim) AS d
    ON d.condition_id = lower(concat('0x', hex(t.condition)))""",
)  # fmt: skip
"""Fills, one row each, of the source that won. ``counts``: it counts as a trade and in the volume."""

MOVEMENTS = Table(
    "movements",
    {
        "wallet_address": "address", "token_id": "token", "condition_id": "hash", "category": "word",
        "timestamp": "time", "kind": "word", "share_change": "integer", "cash_change": "integer", "fee": "integer",
        "tx_hash": "hash", "source": "word", "block": "integer", "tx_index": "integer", "pos": "integer",
        "sub": "integer", "place": "integer", "content": "word", "label": "word",
    },
    key=(
        "wallet_address", "token_id", "timestamp", "tx_hash", "kind", "block", "tx_index", "pos", "sub", "place",
        "content",
    ),
    cluster=("wallet_address", "kind"),
    day="timestamp",
    wallet="wallet_address",
    source=f"""
SELECT
    {_ADDRESS.format("l.wallet")} AS wallet_address, {_TOKEN.format("l.token")} AS token_id, {_FACTS},
    toUnixTimestamp(l.ts) AS timestamp, toString(l.kind) AS kind, l.ds AS share_change, l.du AS cash_change,
    l.fee AS fee, lower(concat('0x', hex(l.tx))) AS tx_hash, toString(l.source) AS source, l.block AS block,
    l.tx_index AS tx_index, l.pos AS pos, l.sub AS sub, l.cls AS place, lower(hex(l.row_key)) AS content,
    toString(l.label) AS label
FROM (SELECT * FROM ledger FINAL WHERE kind NOT IN ('BUY', 'SELL') AND /*wallets*/) AS l
LEFT JOIN {_TOKENS} AS t ON t.token = l.token""",
)  # fmt: skip
"""Every other change of a wallet's tokens and cash: splits, merges, conversions, redemptions, transfers, income.
``token_id`` 0 = no token; ``content`` is a digest of what the source said, which no source numbers."""

_FIRST = "argMin({0}, ({1}, place))"
MARKETS = Table(
    "markets",
    {
        "condition_id": "token", "market_id": "integer", "event_slug": "text", "market_slug": "text", "title": "text",
        "category": "word", "tags": "texts", "side_a": "word", "side_b": "word", "status": "word",
        "winning_label": "word", "negative_risk_id": "hash", "start_time": "time", "end_time": "time",
        "close_time": "time", "game_start_time": "time",
    },
    key=("condition_id",),
    cluster=("condition_id",),
    source=f"""
SELECT
    m.id AS condition_id, m.number AS market_id, nullIf(e.slug, '') AS event_slug, nullIf(m.slug, '') AS market_slug,
    m.question AS title, nullIf(e.category, '') AS category, m.tags AS tags,
    nullIf(m.outcomes[1], '') AS side_a, nullIf(m.outcomes[2], '') AS side_b,
    multiIf(k.is_resolved, 'resolved', m.is_closed, 'closed', 'open') AS status,
    if(k.is_resolved AND k.payouts = 1, nullIf(m.outcomes[k.winner + 1], ''), NULL) AS winning_label,
    {_HASH.format("m.neg_risk")} AS negative_risk_id,
    nullIf(m.starts, 0) AS start_time, nullIf(m.ends, 0) AS end_time, nullIf(m.closes, 0) AS close_time,
    nullIf(m.game, 0) AS game_start_time
FROM
(
    SELECT
        lower(concat('0x', hex(condition))) AS id, condition, max(market_id) AS number, max(event_id) AS event,
        {_FIRST.format("question", "question = ''")} AS question, {_FIRST.format("slug", "slug = ''")} AS slug,
        {_FIRST.format("outcomes", "empty(outcomes)")} AS outcomes, {_FIRST.format("tags", "empty(tags)")} AS tags,
        {_FIRST.format("neg_risk_market", "neg_risk_market = ''")} AS neg_risk, max(closed) AS is_closed,
        toUnixTimestamp({_FIRST.format("start_ts", "toUnixTimestamp(start_ts) = 0")}) AS starts,
        toUnixTimestamp({_FIRST.format("end_ts", "toUnixTimestamp(end_ts) = 0")}) AS ends,
        toUnixTimestamp({_FIRST.format("closed_ts", "toUnixTimestamp(closed_ts) = 0")}) AS closes,
        toUnixTimestamp({_FIRST.format("game_start_ts", "toUnixTimestamp(game_start_ts) = 0")}) AS game
    FROM (SELECT *, transform(toString(source), ['gamma', 'clob', 'chain'], [1, 2, 3], 4) AS place FROM markets FINAL)
    WHERE condition != '' GROUP BY condition
) AS m
LEFT JOIN (SELECT event_id, slug, toString(category) AS category FROM events FINAL) AS e ON e.event_id = m.event
LEFT JOIN
(
    SELECT condition, max(resolved) AS is_resolved, countIf(resolved AND numerator > 0) AS payouts,
           argMax(outcome, numerator) AS winner
    FROM token_map FINAL GROUP BY condition
) AS k ON k.condition = m.condition""",
)  # fmt: skip
"""One row per condition, the fullest source first. ``status``: open, closed or resolved."""

EVENTS = Table(
    "events",
    {
        "event_slug": "token", "event_id": "integer", "title": "text", "category": "word", "tags": "texts",
        "series": "text", "neg_risk": "flag", "closed": "flag", "start_time": "time", "end_time": "time",
    },
    key=("event_slug",),
    cluster=("event_slug",),
    source="""
SELECT slug AS event_slug, event_id, title, nullIf(toString(category), '') AS category, tags,
       nullIf(series, '') AS series, neg_risk, closed, nullIf(toUnixTimestamp(start_ts), 0) AS start_time,
       nullIf(toUnixTimestamp(end_ts), 0) AS end_time
FROM events FINAL WHERE slug != ''""",
)  # fmt: skip

_COUNTS = (
    "trades_fetched", "markets_fetched", "events_fetched", "wallets_processed", "ledger_rows_inserted",
    "ledger_rows_updated", "ledger_rows_unchanged", "rows_inserted", "rows_updated", "rows_unchanged", "rows_rejected",
)  # fmt: skip
CHECKPOINT = Table(
    "daily_sync_checkpoint",
    {
        "run_id": "integer", "command": "word", "status": "word", "last_sync_time": "time", "finished_at": "time",
        "sync_duration_seconds": "integer", **dict.fromkeys(_COUNTS, "integer"), "error": "text",
    },
    key=("run_id", "last_sync_time"),
    cluster=("last_sync_time",),
    source=f"""
SELECT run_id, command, status, toUnixTimestamp(last_sync_time) AS last_sync_time,
       toUnixTimestamp(finished_at) AS finished_at, sync_duration_seconds, {", ".join(_COUNTS)}, error
FROM daily_sync_checkpoint""",
)  # fmt: skip
"""One row per run. ``last_sync_time`` is the start of the run, from which a later one has to go on."""

_AMOUNTS = (
    "shares", "external_shares", "cost", "bought", "bought_cost", "fees", "realized", "unrealized", "untracked_shares",
    "untracked_cash", "basis_out", "settled_shares", "settled_value", "redeemed_cash", "mark_e6",
)  # fmt: skip
POSITIONS = Table(
    "positions",
    {
        "wallet": "address", "token_id": "token", "condition_id": "hash", "outcome_index": "integer", "unit_id": "hash",
        "category": "word", "status": "word", **dict.fromkeys(_AMOUNTS, "integer"), "mark_source": "word",
        "first_at": "time", "last_at": "time", "realized_at": "time",
    },
    key=("wallet", "token_id"),
    cluster=("wallet",),
    wallet="wallet",
    source=f"""
SELECT {_ADDRESS.format("p.wallet")} AS wallet, {_TOKEN.format("p.token")} AS token_id,
       lower(concat('0x', hex(p.condition))) AS condition_id, p.outcome AS outcome_index,
       lower(concat('0x', hex(p.unit))) AS unit_id, toString(p.category) AS category, toString(p.status) AS status,
       {", ".join(f"p.{name} AS {name}" for name in _AMOUNTS)}, nullIf(toString(p.mark_source), '') AS mark_source,
       nullIf(toUnixTimestamp(p.first_ts), 0) AS first_at, nullIf(toUnixTimestamp(p.last_ts), 0) AS last_at,
       nullIf(toUnixTimestamp(p.realized_ts), 0) AS realized_at
FROM (SELECT * FROM positions FINAL WHERE /*wallets*/) AS p""",
)  # fmt: skip
"""Positions per wallet and token. Their fold is sequential, so the loader computes them (docs/bigquery.md)."""

FOLLOWED = (TRADES, MOVEMENTS, MARKETS, EVENTS, CHECKPOINT)
"""Tables that every publication brings up to date."""
