"""What must hold of the model tables, and which are not shown to anybody while it does not (docs/checks.md)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from polyhouse.models.build import model_sql

Part = Literal["wallets", "conditions", "whole"]
"""Of what an invariant can be tested apart from the rest: of some wallets, of some conditions, or of nothing less."""

MADE_OF = {
    "token_map": (),
    "ledger": ("token_map",),
    "unmapped": ("token_map",),
    "positions": ("ledger",),
    "positions_polymarket": ("ledger",),
    "priced_trades": ("ledger",),
    "units": ("positions",),
    "wallet_totals": ("units",),
    "wallet_days": ("positions",),
    "wallet_coverage": ("positions", "unmapped"),
    "wallet_scores_v1": ("wallet_totals", "priced_trades"),
    "wallet_metrics_complete": ("units", "wallet_days", "priced_trades"),
    "wallet_metrics_by_category": ("units", "wallet_days", "priced_trades"),
    "metric_catalogue": ("wallet_metrics_complete", "wallet_metrics_by_category"),
    "wallet_intervals": ("units",),
    "wallet_flags": ("units",),
    "category_edges": ("units",),
    "wallet_documents": (
        "ledger",
        "positions",
        "units",
        "wallet_totals",
        "wallet_coverage",
        "wallet_scores_v1",
        "wallet_metrics_complete",
        "wallet_metrics_by_category",
        "wallet_intervals",
        "wallet_flags",
    ),
    "flag_levels": ("wallet_flags",),
    "category_specialists": ("category_edges",),
    "category_stats": ("wallet_totals", "wallet_metrics_by_category", "category_specialists"),
}
"""Published table → those that it is computed from: what is wrong there is wrong here."""

_HELD = (
    "SELECT wallet, scope AS category, sum(p.realized) AS realized, sum(p.cost) AS cost,"
    " if(countIf(p.unrealized IS NULL) > 0, NULL, realized + sum(p.unrealized)) AS equity, 1 AS has_positions"
    " FROM positions AS p FINAL ARRAY JOIN ['overall', toString(p.category)] AS scope WHERE /*wallets*/"
    " GROUP BY wallet, scope"
)
_WALLET = "concat('0x', lower(hex(wallet)))"
_TOKEN = "concat('token ', toString(reinterpretAsUInt256(reverse(token))))"  # noqa: S105 - of a market
_CONDITION = "concat('condition 0x', lower(hex(condition)))"
WALLETS = "/*wallets*/"
"""Stands in ``rows`` for a condition on ``wallet``, or on ``condition`` where those are the part."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """One thing that must hold.

    Attributes:
        name: stable word.
        meaning: a sentence.
        rows: SELECT of rows that are looked at; invariants with the same one are tested together.
        name_of: SQL that names a row. broken: SQL condition, true for a row that breaks it.
        guards: tables that are not published while it is broken, beside those made of them; none: it is only told.
        part: see ``Part``; ``sql`` has the place of the condition.
        in_builds: whether builds test it; the others take as long as a build.
    """

    name: str
    meaning: str
    rows: str
    name_of: str
    broken: str
    guards: tuple[str, ...] = ()
    part: Part = "wallets"
    in_builds: bool = True


def affected(guards: Collection[str]) -> frozenset[str]:
    """These tables and all that are made of them."""
    found = set(guards)
    for table, sources in MADE_OF.items():  # in the order in which they are made
        if found & set(sources):
            found.add(table)
    return frozenset(found)


def invariants() -> list[Invariant]:
    """All of them."""
    return [*_of_totals(), *_of_days(), *_of_conditions(), *_of_keys()]


def _of_totals() -> list[Invariant]:
    totals = (
        f"SELECT wallet, realized, unrealized, unrealized IS NULL AS is_unmarked FROM wallet_totals FINAL"
        f" WHERE category = 'overall' AND window = 'lifetime' AND {WALLETS}"
    )
    return [
        Invariant(
            "totals_agree",
            "order-free totals equal realised + unrealised to the micro (accounting §3.6)",
            model_sql("order_free", WALLETS),
            f"concat({_WALLET}, ' unit 0x', lower(hex(unit)))",
            "NOT untracked AND unmarked = 0 AND total != ordered_total",
            ("positions",),
        ),
        Invariant(
            "no_negative_holdings",
            "no tracked, external or settled quantity is negative, and nothing held of a resolved market means no basis"
            " (§3.7); who redeemed before the payout is known here keeps the basis until then",
            f"SELECT * FROM positions FINAL WHERE {WALLETS}",
            f"concat({_WALLET}, ' ', {_TOKEN})",
            "shares < 0 OR external_shares < 0 OR settled_shares < 0 OR cost < 0"
            " OR (shares = 0 AND settled_shares = 0 AND cost != 0"
            " AND token IN (SELECT token FROM token_map FINAL WHERE resolved))",
            ("positions",),
        ),
        Invariant(
            "units_are_sums",
            "the units of a wallet have the realised and unrealised PnL of its positions",
            _both(_summed("positions"), _summed("units")),
            _WALLET,
            _DIFFERENT,
            ("units",),
        ),
        Invariant(
            "totals_are_sums",
            "wallet totals, realised and unrealised, equal the sum of their units",
            _both(_summed("units"), totals),
            _WALLET,
            _DIFFERENT,
            ("wallet_totals",),
        ),
        Invariant(
            "categories_are_complete",
            "the categories of a wallet add up to the whole of it",
            "SELECT wallet, window, sumIf(t.realized, category = 'overall') AS realized, sumIf(t.trades, category ="
            " 'overall') AS trades, sum(t.realized) AS all_realized, sum(t.trades) AS all_trades"
            f" FROM wallet_totals AS t FINAL WHERE {WALLETS} GROUP BY wallet, window",
            f"concat({_WALLET}, ' ', window)",
            "all_realized != 2 * realized OR all_trades != 2 * trades",
            ("wallet_totals",),
        ),
        Invariant(
            "cash_is_conserved",
            "realised PnL = trading cash + open basis + settled value + basis that left, per wallet (§3.7)",
            "SELECT wallet, cash, explained FROM (SELECT wallet, sum(toInt128(du)) AS cash FROM ledger FINAL"
            f" WHERE token != toFixedString('', 32) AND kind != 'REDEEM' AND {WALLETS} GROUP BY wallet) AS l INNER JOIN"
            " (SELECT wallet, sum(toInt128(realized) - cost - settled_value - basis_out + untracked_cash) AS explained"
            f" FROM positions FINAL WHERE {WALLETS} GROUP BY wallet) AS p USING (wallet)",
            _WALLET,
            "cash != explained",
            ("positions",),
        ),
        Invariant(
            "metrics_are_of_the_units",
            "metrics are made of no more bets than the wallet has closed units",
            "SELECT wallet, closed, bets_sample FROM (SELECT wallet, countIf(NOT is_open) AS closed FROM units FINAL"
            f" WHERE {WALLETS} GROUP BY wallet) AS u INNER JOIN (SELECT wallet, bets_sample FROM"
            f" wallet_metrics_complete FINAL WHERE window = 'lifetime' AND {WALLETS}) AS m USING (wallet)",
            _WALLET,
            "bets_sample > closed",
            ("wallet_metrics_complete", "wallet_metrics_by_category"),
        ),
    ]


_DIFFERENT = (
    "a.realized != b.realized OR a.is_unmarked != b.is_unmarked OR (NOT a.is_unmarked AND a.unrealized != b.unrealized)"
)


def _both(ours: str, theirs: str) -> str:
    """Wallets with their sums on two sides, ``a`` and ``b``; a side without the wallet has zeros."""
    return (
        "SELECT wallet, (x.realized, x.is_unmarked, x.unrealized)::Tuple(realized Int128, is_unmarked Bool,"
        " unrealized Nullable(Int128)) AS a, (y.realized, y.is_unmarked, y.unrealized)::Tuple(realized Int128,"
        f" is_unmarked Bool, unrealized Nullable(Int128)) AS b FROM ({ours}) AS x FULL OUTER JOIN ({theirs}) AS y"
        " USING (wallet)"
    )


def _summed(table: str) -> str:
    return (
        "SELECT wallet, sum(t.realized) AS realized, sum(t.unrealized) AS unrealized,"
        f" max(t.unrealized IS NULL) AS is_unmarked FROM {table} AS t FINAL WHERE {WALLETS} GROUP BY wallet"
    )


def _of_days() -> list[Invariant]:
    days = (
        "SELECT wallet, category, sum(d.realized) AS booked, argMax(d.realized_total, d.day) AS booked_total,"
        " argMax((d.equity, d.at_risk), d.day) AS newest, 1 AS has_days"
        f" FROM wallet_days AS d FINAL WHERE {WALLETS} GROUP BY wallet, category"
    )
    rows = f"SELECT * FROM ({days}) AS days FULL OUTER JOIN ({_HELD}) AS held USING (wallet, category)"
    return [
        Invariant(
            "days_add_up",
            "the bookings of the days are the realised PnL of the positions, per wallet and category (§3.8)",
            rows,
            f"concat({_WALLET}, ' ', category)",
            "booked != realized OR booked_total != realized",
            ("wallet_days",),
        ),
        Invariant(
            "days_end_at_the_totals",
            "the daily series end at realised + unrealised PnL and basis of the positions (§3.8)",
            rows,
            f"concat({_WALLET}, ' ', category)",
            "has_days AND has_positions AND (newest.1 IS DISTINCT FROM equity OR newest.2 != cost)",
            ("wallet_days",),
        ),
    ]


def _of_conditions() -> list[Invariant]:
    # They guard nothing: a fill of which only one side was copied breaks them, and no computation is wrong for that.
    closed_world = model_sql("closed_world", WALLETS)
    return [
        Invariant(
            "zero_sum",
            "what all wallets made of a settled condition that is known whole from the chain is minus the fees (§3.7)",
            closed_world,
            _CONDITION,
            "is_settled AND abs(total) > holders",
            part="conditions",
        ),
        Invariant(
            "outcomes_balance",
            "as many shares of one outcome as of the other exist of a condition known whole from the chain (§3.7)",
            closed_world,
            _CONDITION,
            "held_first != held_second",
            part="conditions",
        ),
        Invariant(
            "prices_follow_the_fills",
            "the kept price history is what the rule makes of all observations, as of the newest build",
            _strayed_prices(),
            _TOKEN,
            "1",
            part="whole",
            in_builds=False,
        ),
    ]


def _of_keys() -> list[Invariant]:
    no_condition, no_token = "CAST('' AS String) AS condition", "toFixedString('', 32) AS token"
    return [
        Invariant(
            "no_infrastructure_owner",
            "no contract of the market owns a row",
            f"SELECT DISTINCT wallet FROM ledger FINAL WHERE wallet IN ({_infrastructure()}) AND {WALLETS}",
            _WALLET,
            "1",
            ("ledger",),
        ),
        Invariant(
            "traded_tokens_are_accounted_for",
            "every traded token is mapped, or stands in the quarantine of unmapped ones",
            f"SELECT DISTINCT token FROM observations WHERE {WALLETS}"
            " AND toString(kind) IN ('BUY', 'SELL', 'TRANSFER_IN', 'TRANSFER_OUT', 'MIGRATE')"
            " AND token NOT IN (SELECT token FROM token_map FINAL) AND token NOT IN"
            " (SELECT token FROM unmapped FINAL)",
            _TOKEN,
            "1",
            ("ledger", "unmapped"),
        ),
        Invariant(
            "dimension_keys_are_unique",
            "a token stands once in the token map, and a condition has one token per outcome: joins multiply nothing",
            f"SELECT token, {no_condition} FROM token_map FINAL GROUP BY token HAVING count() > 1 UNION ALL"
            f" SELECT {no_token}, condition FROM token_map FINAL WHERE condition != ''"
            " GROUP BY condition, outcome HAVING count() > 1",
            f"if(condition = '', {_TOKEN}, {_CONDITION})",
            "1",
            ("token_map",),
            "whole",
        ),
        Invariant(
            "tokens_are_mapped",
            "every traded token is mapped",
            "SELECT token, condition FROM unmapped FINAL",
            f"concat({_TOKEN}, ' ', {_CONDITION})",
            "1",
            part="whole",
            in_builds=False,
        ),
        Invariant(
            "ids_are_consistent",
            "a condition has one token per outcome",
            "SELECT condition FROM tokens FINAL GROUP BY condition, outcome HAVING uniqExact(token) > 1",
            _CONDITION,
            "1",
            part="whole",
            in_builds=False,
        ),
    ]


def _strayed_prices() -> str:
    """Prices that are kept and should not be, or the other way round; none while rows wait for a build."""
    fills = model_sql("priced_fills", "1").replace("FROM observations", "FROM observations FINAL")
    wanted = model_sql("token_prices", "1").replace("FROM priced_fills FINAL PREWHERE 1", f"FROM ({fills})")
    columns = "token, ts, block, tx_index, pos, tx_key, price_e6"
    newest = "(SELECT max(_block_number) FROM observations)"
    return (
        f"SELECT token FROM (SELECT {columns}, 1 AS side FROM token_prices FINAL WHERE source = 'fill'"
        f" UNION ALL SELECT {columns}, -1 AS side FROM ({wanted})) WHERE {newest} > 0"
        f" AND {newest} = (SELECT argMax(fills_to, version) FROM price_builds) GROUP BY {columns} HAVING sum(side) != 0"
    )


def _infrastructure() -> str:
    from polyhouse.domain.contracts import INFRA

    return ", ".join(f"unhex('{address.hex()}')" for address in sorted(INFRA))
