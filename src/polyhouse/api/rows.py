"""Rows as typed objects. Amounts are ``Decimal`` (USDC or shares), times are in UTC; None = unknown."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct


class Trade(Struct, frozen=True, kw_only=True):
    """One fill that counts. ``cash`` is what the wallet paid (negative) or got, fees included."""

    wallet: str
    token_id: str
    condition_id: str | None
    outcome_index: int | None
    category: str | None
    ts: datetime
    side: str
    role: str | None
    shares: Decimal
    price: Decimal | None
    volume: Decimal
    cash: Decimal
    fee: Decimal
    tx_hash: str
    block: int | None
    source: str


class Position(Struct, frozen=True, kw_only=True):
    """One token that a wallet ever held."""

    wallet: str
    token_id: str
    condition_id: str
    outcome_index: int
    unit_id: str
    category: str
    shares: Decimal
    external_shares: Decimal
    cost: Decimal
    bought: Decimal
    bought_cost: Decimal
    fees: Decimal
    realized: Decimal
    unrealized: Decimal | None
    untracked_shares: Decimal
    untracked_cash: Decimal
    settled_shares: Decimal
    settled_value: Decimal
    redeemed_cash: Decimal
    mark: Decimal | None
    mark_source: str
    status: str
    first_ts: datetime | None
    last_ts: datetime | None
    realized_ts: datetime | None


class Unit(Struct, frozen=True, kw_only=True):
    """One bet: a condition, or a neg-risk market of wallets that converted there. ``result`` is WIN, LOSS or FLAT."""

    wallet: str
    unit_id: str
    condition_ids: list[str]
    category: str
    realized: Decimal
    unrealized: Decimal | None
    unmarked: int
    cost: Decimal
    bought_cost: Decimal
    fees: Decimal
    untracked_cash: Decimal
    redeemed_cash: Decimal
    is_open: bool
    result: str
    closed_ts: datetime | None
    first_ts: datetime | None
    last_ts: datetime | None


class Omega(Struct, frozen=True):
    """Gains per loss; ``value`` is None unless ``status`` is OK."""

    value: Decimal | None
    status: str


class Totals(Struct, frozen=True, kw_only=True):
    """Totals of a wallet; what each means stands in docs/api.md and in the OpenAPI document."""

    realized: Decimal
    unrealized: Decimal | None
    unrealized_marked: Decimal
    unmarked: int
    position_pnl: Decimal | None
    fees: Decimal
    gross_of_fees: Decimal | None
    income: Decimal
    economic_pnl: Decimal | None
    untracked_cash: Decimal
    redeemed_cash: Decimal
    volume: Decimal
    trades: int
    markets: int
    wins: int
    losses: int
    flats: int
    open_units: int
    gains: Decimal
    losses_abs: Decimal
    omega: Omega
    omega_shrunk: Decimal | None
    win_rate: Decimal | None
    roi: Decimal | None
    first_trade_at: datetime | None
    last_trade_at: datetime | None


class CategoryTotals(Totals, frozen=True, kw_only=True):
    """Totals of one category."""

    category: str


class BoardRow(Totals, frozen=True, kw_only=True):
    """One place of a leaderboard; ``value`` is what it is sorted by."""

    rank: int
    wallet: str
    value: Decimal | None
    units: int
    grade: str | None
    specialist: str | None
    flags: list[str]
    whale_score: Decimal | None
    insider_score: Decimal | None
    category_share: Decimal | None
    category_trade_share: Decimal | None
    metrics: dict[str, Decimal | None] | None
    week_ago: dict[str, Any] | None


class SpecialistRow(Struct, frozen=True, kw_only=True):
    """A wallet that is better in one category than elsewhere, and than others there."""

    rank: int
    wallet: str
    category: str
    is_specialist: bool
    is_primary: bool
    closed: int
    events: int
    rest_events: int
    stake_share: Decimal
    bet_share: Decimal
    edge: Decimal
    edge_shrunk: Decimal
    rest_shrunk: Decimal
    category_edge: Decimal
    p_category: Decimal
    p_rest: Decimal
    p_value: Decimal
    q_value: Decimal
    net: Decimal
    omega_shrunk: Decimal | None
    grade: str | None


class Day(Struct, frozen=True, kw_only=True):
    """A day on which a wallet's results changed."""

    day: date
    realized: Decimal
    realized_total: Decimal
    unrealized: Decimal | None
    equity: Decimal | None
    pnl: Decimal | None
    at_risk: Decimal
    at_risk_before: Decimal
    at_risk_peak: Decimal
    worst: Decimal | None
    volume: Decimal
    unmarked: int
    fills: int


class MetricValue(Struct, frozen=True, kw_only=True):
    """One metric of a wallet: ``value`` is a ``Decimal``, a text for metrics of words, None where there is none."""

    name: str
    number: int | None
    value: Any
    status: str
    sample: int | None
    unit: str


Row = dict[str, Any]
"""A row of any other table: column → value."""
