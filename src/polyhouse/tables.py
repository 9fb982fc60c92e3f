"""The tables that sources fill: columns, meaning, identity. The DDL in ``warehouse/migrations`` follows this page.

Rows travel from sources to the warehouse as *columns*: ``dict[column name, list of values]``, every list of the same
length. Binary ids are ``bytes``; money and shares are ``int`` micro units; times are ``int`` Unix seconds (UTC).
A column that is left out takes its default; a column that is not declared here is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Columns = dict[str, list[Any]]
"""Column name → values. All lists have the same length."""

ColumnType = Literal[
    "address",  # 20 bytes; 20 zero bytes = none
    "id32",  # 32 bytes (token id big-endian, transaction hash, order hash, neg-risk market); zeros = none
    "condition",  # 31 (Protocol V2) or 32 bytes; b"" = unknown
    "i64",
    "u64",
    "u32",
    "u16",
    "u8",
    "bool",
    "time",  # Unix seconds, 0 = unknown
    "text",
    "word",  # text of low cardinality
    "texts",  # list of text
    "id32s",  # list of 32-byte ids
    "u64s",  # list of non-negative integers
    "i64s",  # list of integers
]


@dataclass(frozen=True, slots=True)
class Table:
    """One declared table.

    Attributes:
        name: table name in the warehouse.
        columns: column → type, in order. ``version`` (u64) is always last: the newest row of a key wins.
        key: the natural key; writing the same key twice leaves one row for readers.
        defaults: value of a column that the batch leaves out.
    """

    name: str
    columns: Mapping[str, ColumnType]
    key: tuple[str, ...]
    defaults: Mapping[str, Any]


_ZERO20 = bytes(20)
_ZERO32 = bytes(32)
_DEFAULT_BY_TYPE: dict[ColumnType, Any] = {
    "address": _ZERO20, "id32": _ZERO32, "condition": b"", "i64": 0, "u64": 0, "u32": 0, "u16": 0, "u8": 0,
    "bool": False, "time": 0, "text": "", "word": "", "texts": (), "id32s": (), "u64s": (), "i64s": (),
}  # fmt: skip


def _table(name: str, key: tuple[str, ...], columns: dict[str, ColumnType], **defaults: Any) -> Table:
    columns["version"] = "u64"
    return Table(name, columns, key, {c: defaults.get(c, _DEFAULT_BY_TYPE[t]) for c, t in columns.items()})


SOURCES = ("chain", "activity", "trades", "subgraph", "dump")
"""Sources of ledger rows, best first. For one (wallet, token, transaction) the best one wins as a whole."""

KINDS = (
    "BUY", "SELL", "SPLIT", "MERGE", "REDEEM", "CONVERT", "TRANSFER_IN", "TRANSFER_OUT", "MIGRATE",
    "INCOME", "DEPOSIT", "WITHDRAWAL", "TIP",
)  # fmt: skip
"""Kinds of observations. SPLIT, MERGE and REDEEM name a condition (``token`` zero) or one outcome (``token`` set)."""
ONE_ROW_KINDS = ("BUY", "SELL", "TRANSFER_IN", "TRANSFER_OUT", "MIGRATE")
"""Kinds of observations that are one row of the ledger each."""

OBSERVATIONS = _table(
    "observations",
    ("wallet", "token", "ts", "tx", "source", "row_key"),
    {
        "wallet": "address",
        "token": "id32",
        "condition": "condition",  # CONVERT: the neg-risk market id
        "tx": "id32",
        "source": "word",  # one of SOURCES
        "kind": "word",  # one of KINDS
        "ts": "time",
        # Order. Chain rows: block, tx_index, pos = log index, sub = n-th row derived from that log.
        # REST rows: block 0; pos = place inside the second in log order (1-based; trades feed: 2**32-1 minus the place
        # counted from the newest row, since that feed runs backwards); 0 = unknown, then the kind decides (§1.10).
        "block": "u32",
        "tx_index": "u16",
        "pos": "u32",
        "sub": "u16",
        "ordinal": "u16",  # n-th of rows that are identical in every field (REST, 0-based); 0 on chain
        "shares": "i64",  # net shares moved, >= 0, micro-shares (SPLIT/MERGE/CONVERT: the amount)
        "cash": "i64",  # net cash moved, >= 0, micro-USDC, fees and refunds included (INCOME: amount; REDEEM: payout)
        "shares_gross": "i64",
        "usdc_gross": "i64",  # before refund and fee; volume = usdc_gross - refund_usdc
        "fee_net": "i64",  # in fee_asset units
        "fee_asset": "word",  # "usdc" | "shares" | ""
        "fee_usdc": "i64",
        "refund_usdc": "i64",
        "refund_shares": "i64",
        "price_e12": "i64",  # price as the source printed it, 10^-12; 0 = not given
        "role": "word",  # "TAKER" | "MAKER" | "DIRECT" | "" unknown
        "match_type": "word",  # "COMPLEMENTARY" | "MINT" | "MERGE" | ""
        "match_pos": "u32",  # log index of the OrdersMatched of this fill's match; 0 = none
        "counterparty": "address",
        "order_hash": "id32",
        "exchange": "word",  # "EX1" "NEX1" "EX2" "NEX2" "EX3" "FPMM" | ""
        "outcome": "u16",  # 0, 1; 999 = unknown
        "index_set": "id32",  # CONVERT: bit i = question i; REDEEM: index sets redeemed; big-endian
        "amounts": "u64s",  # REDEEM: shares per outcome where the source tells
        "label": "word",  # INCOME: MAKER_REBATE TAKER_REBATE REWARD YIELD REFERRAL_REWARD
        "flags": "word",  # space-separated flag words, sorted
        "run": "u64",
    },
    outcome=999,
)
"""What sources said about wallets: one row per fill, split, merge, redemption, conversion, transfer or income."""

EVENTS = _table(
    "events",
    ("event_id",),
    {
        "event_id": "u64", "slug": "text", "title": "text", "tags": "texts", "category": "word",
        "category_version": "word", "series": "text", "neg_risk": "bool", "neg_risk_market": "condition",
        "neg_risk_fee_bips": "u32", "start_ts": "time", "end_ts": "time", "closed": "bool",
    },
)  # fmt: skip
"""Events with the labels and slugs of their tags and the one category derived from them."""

MARKETS = _table(
    "markets",
    ("condition", "source"),
    {
        "condition": "condition", "source": "word",  # "gamma" | "clob" | "chain" | "file"
        "market_id": "u64", "question_id": "condition", "question": "text", "slug": "text", "event_id": "u64",
        "outcomes": "texts", "tokens": "id32s", "neg_risk": "bool", "neg_risk_market": "condition",
        "question_index": "u16", "tags": "texts", "start_ts": "time", "end_ts": "time", "closed_ts": "time",
        "game_start_ts": "time",  # of a sports market; its listed end may be hours or weeks later
        "closed": "bool", "fee_rate_e6": "i64", "status": "word",
        "prices_e6": "i64s",  # last outcome prices as printed; a fallback mark, never a resolution by itself
    },
    question_index=65535, fee_rate_e6=-1,
)  # fmt: skip
"""Markets (one condition each) as one source describes them."""

TOKENS = _table(
    "tokens",
    ("token",),
    {"token": "id32", "condition": "condition", "outcome": "u8", "verified": "bool", "source": "word"},
)
"""Outcome token → (condition, outcome index). ``verified``: both ids were recomputed offline and agree."""

RESOLUTIONS = _table(
    "resolutions",
    ("condition", "source", "ts", "block", "pos"),
    {
        "condition": "condition", "source": "word", "ts": "time", "block": "u32", "tx_index": "u16", "pos": "u32",
        "numerators": "u64s", "provisional": "bool", "tx": "id32",
    },
)  # fmt: skip
"""Payout vectors. The first one of the best source wins (accounting §2.4)."""

NEG_RISK_MARKETS = _table(
    "neg_risk_markets",
    ("market",),
    {"market": "condition", "question_count": "u16", "fee_bips": "u32", "source": "word"},
)
"""Neg-risk markets: how many questions, and the conversion fee."""

REPORTED_POSITIONS = _table(
    "reported_positions",
    ("wallet", "token"),
    {
        "wallet": "address", "token": "id32", "condition": "condition", "shares": "i64", "avg_price_e6": "i64",
        "realized": "i64", "unrealized": "i64", "current_value": "i64", "status": "word", "last_event_ts": "time",
        "run": "u64", "seen_at": "time",
    },
)  # fmt: skip
"""Positions as Polymarket publishes them: a measurement to compare with, never an input to our numbers."""

REPORTED_PAIRS = _table(
    "reported_pairs",
    ("wallet", "token", "series"),
    {
        "wallet": "address",
        "token": "id32",  # zeros: the list was read to its end in this run, ``shares`` is the number of its rows
        "series": "word",  # "v2-closed" | "v1-open" | "v1-closed"
        "condition": "condition", "shares": "i64", "avg_price_e6": "i64", "realized": "i64", "unrealized": "i64",
        "bought": "i64", "last_event_ts": "time", "run": "u64", "seen_at": "time",
    },
)  # fmt: skip
"""Closed positions, and the pair lists of the first Data API, as Polymarket publishes them: never an input."""

REPORTED_HOLDERS = _table(
    "reported_holders",
    ("token", "wallet"),
    {"token": "id32", "wallet": "address", "shares": "i64", "outcome": "u16", "run": "u64", "seen_at": "time"},
)
"""Holders of an outcome token as Polymarket publishes them."""

REPORTED_VALUES = _table(
    "reported_values",
    ("wallet", "seen_at"),
    {"wallet": "address", "value": "i64", "seen_at": "time"},
)
"""Portfolio value of a wallet as Polymarket publishes it."""

REPORTED_PNL = _table(
    "reported_pnl",
    ("wallet", "series", "ts"),
    {
        "wallet": "address",
        "series": "word",  # "user-stats" | "user-pnl"
        "ts": "time",  # of the figures, by the publisher's clock
        "block": "u32", "realized": "i64", "unrealized": "i64", "has_unrealized": "bool",
        "fees_paid": "i64",  # fees less refunds, >= 0 for somebody who paid
        "income": "i64",
        "gross_pnl": "i64",  # realised + unrealised before fees
        "volume": "i64", "fills": "u64", "markets": "u64", "run": "u64", "seen_at": "time",
    },
)  # fmt: skip
"""Profit and loss of a wallet as Polymarket publishes it (accounting §3.1): a measurement, never an input."""

RECONCILIATION = _table(
    "reconciliation",
    ("wallet", "kind", "detail", "run"),
    {
        "wallet": "address",
        "kind": "word",  # which numbers were compared: see ``polyhouse.reconcile.compare``
        "detail": "text",  # token id of a position, metric of a benchmark, "" = the whole wallet
        "run": "u64", "as_of": "time",  # of our numbers
        "theirs_ts": "time",  # of the published ones, 0 = not said
        "ours": "i64", "theirs": "i64", "difference": "i64",  # micro-USDC, micro-shares for kind position_shares
        "cause": "word",  # the likely cause by rule: see ``polyhouse.reconcile.causes``
    },
)  # fmt: skip
"""Our numbers against published ones, one row per comparison and run: the history of how close we are."""

GIVEN_MARKS = _table("given_marks", ("token",), {"token": "id32", "mark_e6": "i64"})
"""Marks given by hand (micro-USDC per share): they win over prices of fills."""

PRICE_POINTS = _table(
    "price_points",
    ("token", "resolution_seconds", "ts", "source"),
    {"token": "id32", "resolution_seconds": "u32", "ts": "time", "source": "word", "price_e6": "i64"},
)
"""Prices of a token over time as an upstream publishes them: micro-USDC per share at ``ts``, one point about every
``resolution_seconds``. For charts and closing lines; never an input to positions."""

SYNC_PAGES = _table(
    "sync_pages",
    ("stream", "partition", "digest"),
    {
        "stream": "word", "partition": "text", "position_from": "text", "position_to": "text", "rows": "u32",
        "rejected": "u32", "ignored": "u32",
        "seq": "u64",  # n-th page of the partition over all runs: the newest page of a partition has the highest one
        "is_last": "bool", "digest": "id32", "run": "u64", "written_at": "time",
    },
)  # fmt: skip
"""The manifest: one row per page that was written, so that lost state can be rebuilt from the warehouse."""

CHAIN_LOGS = _table(
    "chain_logs",
    ("block", "log_index"),
    {
        "tx": "id32", "block": "u32", "log_index": "u32", "tx_index": "u16", "block_hash": "id32",
        "address": "address",  # the contract that emitted it
        "topics": "id32s", "data": "id32s",  # 32-byte words; the last one is padded with zeros to the right
        "data_bytes": "u32", "ts": "time",
        "event": "word",  # name of the event, "" = unknown
        "status": "word",  # what became of it: ledger | registry | ignored | quarantine | unknown
        "run": "u64",
    },
)  # fmt: skip
"""Logs of the chain as the node gave them: the ledger can be derived from them again."""

CHAIN_BLOCKS = _table(
    "chain_blocks",
    ("block",),
    {"hash": "id32", "block": "u32", "parent": "id32", "ts": "time", "finality": "word"},
)
"""Blocks that were read: every one of the soft window, else those with logs and the ends of ranges."""

CHAIN_POOLS = _table(
    "chain_pools",
    ("pool",),
    {"pool": "address", "condition": "condition", "block": "u32"},
)
"""Pools of the AMM era and the condition they trade."""

COVERAGE = _table(
    "coverage",
    ("source", "contract_group", "from_block", "to_block"),
    {
        "source": "word", "contract_group": "word", "from_block": "u32", "to_block": "u32",
        "rows": "u32",  # logs of the range that were stored
        "digest": "id32",  # SHA-256 of those logs
        "to_hash": "id32",  # hash of the last block
        "finality": "word",  # soft | final
        "run": "u64", "seen_at": "time",
    },
)  # fmt: skip
"""Which blocks were read: both ends belong to the range. Written after the rows it speaks of."""

PUBLISHED_POSITIONS = _table(
    "published_positions",
    ("wallet", "token_id"),
    {
        "wallet": "address",
        "token_id": "text",  # decimal as printed: ids of AMM liquidity are integers read with their sign
        "token": "id32",  # the token it means (LP: the pool's); zeros where that is unknown
        "amount": "i64", "avg_price_e6": "i64", "realized": "i64", "bought": "i64", "run": "u64", "seen_at": "time",
    },
)  # fmt: skip
"""``userPositions`` of the pnl-subgraph, from dumps (accounting §2.9): to compare with, never an input."""

WALLET_REGISTRY = _table(
    "wallet_registry",
    ("wallet",),
    {
        "wallet": "address", "status": "word", "provenance": "texts", "first_seen": "time", "last_seen": "time",
        "attempts": "u32", "next_attempt": "time", "last_error": "text", "last_attempt_at": "time",
        "last_synced_at": "time", "sync_duration_ms": "u64", "trades_synced": "u64", "rows_synced": "u64",
        "last_trade_at": "time",
        "whale_score": "i64",  # tenths, as the queue ranks by it
        "due_at": "time",  # when the wallet wants work again, 0 = never
        "queued_reason": "word",  # why it waits in the queue: see ``polyhouse.state.priority``
        "updated_at": "time",
    },
)  # fmt: skip
"""Mirror of the wallet registry of the state store, so that SQL answers questions about it. The state store is the
truth; this copy is brought up to date at the end of every run and every minute of a long one."""

SYNC_RUNS = _table(
    "sync_runs",
    ("run_id",),
    {
        "run_id": "u64", "command": "word", "args": "text", "started_at": "time",
        "finished_at": "time",  # 0 = it goes on, or its process was killed and nobody came after it yet
        "status": "word",  # running | ok | partial | failed | interrupted
        "counts": "text",  # JSON object: what the run counted, by name
        "error": "text",
    },
)  # fmt: skip
"""Mirror of the record of runs of the state store, kept like ``wallet_registry``."""

REPORTED_STANDINGS = _table(
    "reported_standings",
    ("board", "period", "category", "wallet", "detail"),
    {
        "board": "word",  # PNL | VOLUME | WINS (the biggest single wins)
        "period": "word",  # day | week | month | all
        "category": "word",  # as the upstream spells it, "overall" = everything
        "wallet": "address",
        "detail": "text",  # WINS: the position that won; else ""
        "rank": "u32",
        "pnl": "i64",  # micro-USDC; of day, week and month it moves with marks
        "volume": "i64",  # micro-shares, 0 where the board has none
        "run": "u64", "seen_at": "time",
    },
)  # fmt: skip
"""Leaderboards as Polymarket publishes them: a wallet that dropped off a board keeps the row of when it was seen."""

WALLET_LINKS = _table(
    "wallet_links",
    ("owner", "wallet", "kind", "source"),
    {
        "owner": "address",  # the signer (EOA)
        "wallet": "address",  # what it trades with; the owner itself for kind eoa
        # eoa: the owner is a signer, whatever it trades with · proxy, safe, deposit: derived from the owner (accounting
        # §5.2) and known to the store · stated: the source says so, no derivation does
        "kind": "word",
        "source": "word",  # where the owner was found: users | file
        "run": "u64", "seen_at": "time",  # when the link was first made
    },
)  # fmt: skip
"""Which signer owns which wallets: attributes to show, never a reason to merge wallets (accounting §5.2)."""

MARKET_STATES = _table(
    "market_states",
    ("condition",),
    {
        "condition": "condition",
        "status": "word",  # of the resolution, as the upstream spells it: initialized, posed, proposed … resolved
        "disputed": "bool",
        "updated_ts": "time",  # when the upstream says it changed last
        "seen_at": "time",
    },
)
"""How far the resolution of a market is, as last published. What it paid out stands in ``resolutions``."""

MARKET_CHECKS = _table(
    "market_checks",
    ("condition",),
    {
        "condition": "condition",
        "checked_at": "time",  # when it was asked, whatever came back
        "run": "u64",
    },
)
"""When each market was asked for news the last time; when it is due follows from the rules (sync/market_rules.py)."""

ALL = (
    # Block hashes first: rows of a block that is abandoned later can always be found again.
    CHAIN_BLOCKS,
    OBSERVATIONS, EVENTS, MARKETS, TOKENS,
    # States before payouts: whoever lacks the payout is asked again, whoever has an old state is not.
    MARKET_STATES, RESOLUTIONS, NEG_RISK_MARKETS, REPORTED_POSITIONS, REPORTED_HOLDERS,
    REPORTED_VALUES, REPORTED_PAIRS, REPORTED_PNL, RECONCILIATION, GIVEN_MARKS, PRICE_POINTS, PUBLISHED_POSITIONS,
    SYNC_PAGES, CHAIN_LOGS, CHAIN_POOLS, COVERAGE, WALLET_REGISTRY, SYNC_RUNS,
    REPORTED_STANDINGS, WALLET_LINKS, MARKET_CHECKS,
)  # fmt: skip
"""All of them, in the order in which the tables of a batch are written."""
BY_NAME = {table.name: table for table in ALL}
