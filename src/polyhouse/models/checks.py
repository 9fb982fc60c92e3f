"""Invariants of the built tables (``polyhouse check``): each says how many rows break it, and shows some of them."""

from __future__ import annotations

from dataclasses import dataclass

from polyhouse.models.build import model_sql
from polyhouse.ports import Warehouse

_EXAMPLES = 5
_HELD = (
    "SELECT wallet, scope AS category, sum(p.realized) AS realized, sum(p.cost) AS cost,"
    " if(countIf(p.unrealized IS NULL) > 0, NULL, realized + sum(p.unrealized)) AS equity"
    " FROM positions AS p FINAL ARRAY JOIN ['overall', toString(p.category)] AS scope GROUP BY wallet, scope"
)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One invariant: ``broken`` rows violate it; ``detail`` is a sentence with the first of them."""

    name: str
    ok: bool
    broken: int
    detail: str


@dataclass(frozen=True, slots=True)
class _Check:
    name: str
    meaning: str
    sql: str


def _checks() -> list[_Check]:
    """Each SELECT returns the violating rows; its first column names the row."""
    order_free = model_sql("order_free", "1")
    closed_world = model_sql("closed_world", "1")
    return [
        _Check(
            "totals_agree",
            "order-free totals equal realised + unrealised to the micro (accounting §3.6)",
            f"SELECT concat('0x', lower(hex(wallet)), ' unit 0x', lower(hex(unit))) AS name FROM ({order_free})"
            " WHERE NOT untracked AND unmarked = 0 AND total != ordered_total",
        ),
        _Check(
            "no_negative_holdings",
            "no tracked, external or settled quantity is negative, and nothing held means no basis (§3.7)",
            "SELECT concat('0x', lower(hex(wallet)), ' token ', toString(reinterpretAsUInt256(reverse(token)))) AS name"
            " FROM positions FINAL WHERE shares < 0 OR external_shares < 0 OR settled_shares < 0 OR cost < 0"
            " OR (shares = 0 AND settled_shares = 0 AND cost != 0)",
        ),
        _Check(
            "totals_are_sums",
            "wallet totals equal the sum of their units",
            "SELECT concat('0x', lower(hex(wallet))) AS name FROM (SELECT wallet, sum(realized) AS r FROM units FINAL"
            " GROUP BY wallet) AS u FULL OUTER JOIN (SELECT wallet, realized FROM wallet_totals FINAL"
            " WHERE category = 'overall' AND window = 'lifetime') AS t USING (wallet) WHERE r != realized",
        ),
        _Check(
            "categories_are_complete",
            "the categories of a wallet add up to the whole of it",
            "SELECT concat('0x', lower(hex(wallet)), ' ', window) AS name FROM wallet_totals FINAL"
            " GROUP BY wallet, window"
            " HAVING sumIf(realized, category = 'overall') != sumIf(realized, category != 'overall')"
            " OR sumIf(trades, category = 'overall') != sumIf(trades, category != 'overall')",
        ),
        _Check(
            "cash_is_conserved",
            "realised PnL = trading cash + open basis + settled value + basis that left, per wallet (§3.7)",
            "SELECT concat('0x', lower(hex(wallet))) AS name FROM (SELECT wallet, sum(toInt128(du)) AS cash"
            " FROM ledger FINAL WHERE token != toFixedString('', 32) AND kind != 'REDEEM' GROUP BY wallet) AS l"
            " INNER JOIN (SELECT wallet, sum(toInt128(realized) - cost - settled_value - basis_out + untracked_cash)"
            " AS explained FROM positions FINAL GROUP BY wallet) AS p USING (wallet) WHERE cash != explained",
        ),
        _Check(
            "days_add_up",
            "the bookings of the days are the realised PnL of the positions, per wallet and category (§3.8)",
            "SELECT concat('0x', lower(hex(wallet)), ' ', category) AS name FROM (SELECT wallet, category,"
            " sum(d.realized) AS booked, argMax(d.realized_total, d.day) AS total FROM wallet_days AS d FINAL"
            f" GROUP BY wallet, category) AS days FULL OUTER JOIN ({_HELD}) AS held USING (wallet, category)"
            " WHERE booked != realized OR total != realized",
        ),
        _Check(
            "days_end_at_the_totals",
            "the daily series end at realised + unrealised PnL and basis of the positions (§3.8)",
            "SELECT concat('0x', lower(hex(wallet)), ' ', category) AS name FROM (SELECT wallet, category,"
            " argMax((d.equity, d.at_risk), d.day) AS newest FROM wallet_days AS d FINAL"
            f" GROUP BY wallet, category) AS days INNER JOIN ({_HELD}) AS held USING (wallet, category)"
            " WHERE newest.1 IS DISTINCT FROM held.equity OR newest.2 != cost",
        ),
        _Check(
            "prices_follow_the_fills",
            "the kept price history is what the rule makes of all observations, as of the newest build",
            "SELECT concat('token ', toString(reinterpretAsUInt256(reverse(token)))) AS name"
            f" FROM ({_strayed_prices()})",
        ),
        _Check(
            "zero_sum",
            "what all wallets made of a settled condition that is known whole from the chain is minus the fees (§3.7)",
            "SELECT concat('condition 0x', lower(hex(condition))) AS name"
            f" FROM ({closed_world}) WHERE is_settled AND abs(total) > holders",
        ),
        _Check(
            "outcomes_balance",
            "as many shares of one outcome as of the other exist of a condition known whole from the chain (§3.7)",
            f"SELECT concat('condition 0x', lower(hex(condition))) AS name FROM ({closed_world})"
            " WHERE held_first != held_second",
        ),
        _Check(
            "no_infrastructure_owner",
            "no contract of the market owns a row",
            "SELECT DISTINCT concat('0x', lower(hex(wallet))) AS name FROM ledger FINAL WHERE wallet IN"
            f" ({_infrastructure()})",
        ),
        _Check(
            "tokens_are_mapped",
            "every traded token is mapped",
            "SELECT concat('token ', toString(reinterpretAsUInt256(reverse(token))), ' condition 0x',"
            " lower(hex(condition))) AS name FROM unmapped FINAL",
        ),
        _Check(
            "ids_are_consistent",
            "a condition has one token per outcome",
            "SELECT concat('condition 0x', lower(hex(condition))) AS name FROM tokens FINAL"
            " GROUP BY condition, outcome HAVING uniqExact(token) > 1",
        ),
    ]


def _strayed_prices() -> str:
    """Prices that are kept and should not be, or the other way round; none while rows wait for a build."""
    fills = model_sql("priced_fills", "1").replace("FROM observations", "FROM observations FINAL")
    wanted = model_sql("token_prices", "1").replace("FROM priced_fills FINAL", f"FROM ({fills})")
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


def run_checks(warehouse: Warehouse) -> list[CheckResult]:
    """Test every invariant on the published tables."""
    results = []
    for check in _checks():
        rows = warehouse.query(f"SELECT count(), groupArray({_EXAMPLES})(name) FROM ({check.sql})").rows
        broken, examples = int(rows[0][0]), list(rows[0][1])
        detail = check.meaning if not broken else f"violated: {check.meaning}; e.g. {', '.join(map(str, examples))}"
        results.append(CheckResult(check.name, not broken, broken, detail))
    return results
