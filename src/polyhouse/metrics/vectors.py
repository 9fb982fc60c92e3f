"""Runs one metric or id case of a vector file through the product's own functions (``polyhouse replay``).

A case is ``{"metric", "args"}`` or ``{"fn", "args"}``; the result has the vector file's own shape: decimals as text
with nine places, money as integers, undefined values as null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from polyhouse.domain import amounts, rest
from polyhouse.domain.contracts import CLOB_V2_CUTOVER_TS
from polyhouse.domain.ids import shown
from polyhouse.errors import BadInputError
from polyhouse.metrics import fees, prices, ratios, series, skill, upstream_rows
from polyhouse.metrics.exact import Ratio
from polyhouse.metrics.id_cases import ID_FUNCTIONS, Args

__all__ = ["ID_FUNCTIONS", "METRIC_FUNCTIONS", "evaluate"]


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


def _value(result: Ratio) -> dict[str, Any]:
    return {"value": _text(result.value)}


def _exact(value: Any) -> Fraction:
    """A number of a case as the exact value of its text: cases are read with floats where a price has a point."""
    if isinstance(value, float):
        value = repr(value)
    return Fraction(*amounts.parse_decimal(value).as_integer_ratio())


def _price(args: Args, name: str = "price") -> Fraction:
    return Fraction(args[f"{name}_e6"], amounts.MICRO) if f"{name}_e6" in args else _exact(args[name])


def _entries(args: Args) -> list[skill.Entry]:
    return [skill.Entry(row["price_e6"], _exact(row["outcome"]), row.get("w", 1)) for row in args["rows"]]


def _omega(args: Args) -> dict[str, Any]:
    result = ratios.omega(args["pnls"], args.get("threshold", 0))
    return {"value": _text(result.value), "status": result.status}


def _omega_shrunk(args: Args) -> dict[str, Any]:
    return _value(ratios.omega_shrunk(args["pnls"], args.get("lambda", ratios.SHRINKAGE)))


def _win_rate(args: Args) -> dict[str, Any]:
    result = ratios.win_rate(args["pnls"], args.get("flat_threshold", ratios.FLAT_BELOW))
    return {"wins": result.wins, "losses": result.losses, "flat": result.flats, **_value(result.rate)}


def _wilson_low(args: Args) -> dict[str, Any]:
    return _value(ratios.wilson_low(args["wins"], args["n"], _exact(args.get("z", "1.96"))))


def _peak_capital(args: Args) -> dict[str, Any]:
    result = ratios.peak_capital(args["cashflows"], args.get("pnl", 0))
    return {"peak": result.peak, "roi": _text(result.roi.value)}


def _risk_ratio(result: series.RiskRatio) -> dict[str, Any]:
    return {"daily": _text(result.daily.value), "annual": _text(result.annual.value)}


def _calibration(args: Args) -> dict[str, Any]:
    result = skill.calibration(_entries(args), args.get("bins", 10))
    bins = {
        str(index): {"n": one.n, "mean_price": _text(one.mean_price), "hit_rate": _text(one.hit_rate)}
        for index, one in result.bins.items()
    }
    return {"bins": bins, "ece": _text(result.ece.value)}


def _luck_z(args: Args) -> dict[str, Any]:
    result = skill.luck_z(_entries(args))
    return {"edge": _text(result.edge.value), "z": _text(result.z.value)}


def _clv(args: Args) -> dict[str, Any]:
    lines = [
        skill.ClosingLine(row["side"] == "BUY", row["shares"], row["entry_e6"], row["close_e6"]) for row in args["rows"]
    ]
    result = skill.clv(lines)
    return {"usdc": result.usdc, "pct": _text(result.pct.value), "beat_rate": _text(result.beat_rate.value)}


def _contrarian(args: Args) -> dict[str, Any]:
    bets = [skill.Bet(row["stake"], row["price_e6"], row.get("ref_e6"), _exact(row["outcome"])) for row in args["rows"]]
    result = skill.contrarian(bets)
    return {
        "underdog_share": _text(result.underdog_share.value),
        "against_move_share": _text(result.against_move_share.value),
        "surprise": _text(result.surprise.value),
    }


def _v1_fee(args: Args) -> dict[str, Any]:
    return {"value": fees.v1_fee(args["rate_bps"], args["shares"], args["making"], args["taking"], args["side"])}


def _v1_fee_refund(args: Args) -> dict[str, Any]:
    order = (args["rate_bps"], args["shares"], args["making"], args["taking"], args["side"])
    return {"value": fees.v1_fee_refund(*order, operator_fee=args["operator_fee"])}


def _platform_fee(args: Args) -> dict[str, Any]:
    rate, price, exponent = _exact(args["rate"]), _price(args), args.get("exponent", 1)
    return {"value": fees.platform_fee(rate, args["shares"], price, exponent)}


def _data_api_position(args: Args) -> dict[str, Any]:
    size = _exact(args["size"])
    bought = _exact(args.get("totalBought", args["size"]))
    result = upstream_rows.data_api_position(size, _exact(args["avgPrice"]), _exact(args["curPrice"]), bought)
    return {
        "initialValue": _text(result.initial_value),
        "currentValue": _text(result.current_value),
        "cashPnl": _text(result.cash_pnl),
        "percentPnl": _text(result.percent_pnl),
        "percentRealizedPnl": _text(result.percent_realized_pnl),
    }


def _closed_position(args: Args) -> dict[str, Any]:
    return {"realizedPnl": upstream_rows.closed_position(args["total_bought"], args["avg_e6"], args["cur_e6"])}


def _user_pnl_point(args: Args) -> dict[str, Any]:
    result = upstream_rows.user_pnl_point(args)
    return {name: getattr(result, name) for name in upstream_rows.UserPnlPoint.__slots__}


def _api_multiset(args: Args) -> dict[str, Any]:
    return {"rows": upstream_rows.api_multiset([[tuple(row) for row in rows] for rows in args["fetches"]])}


def _clamp_series(args: Args) -> dict[str, Any]:
    held, shortfall = series.clamp_series(args["deltas"])
    return {"held": held, "cumulative_shortfall": shortfall}


def _fill(value: Mapping[str, int] | None) -> prices.PricedAt | None:
    return None if value is None or value.get("price_e6") is None else (value["price_e6"], value["order"])


def _mark_price(args: Args) -> dict[str, Any]:
    listed = args.get("listed_e6", args.get("listed"))
    return {"value": prices.mark_price(_fill(args.get("own")), _fill(args.get("complement")), listed)}


def _api_order(args: Args) -> dict[str, Any]:
    def key(row: Mapping[str, Any]) -> tuple[int, int, Any, int]:
        kind = row["side"] if row["type"] == "TRADE" else row["type"]
        return rest.order_key(row["ts"], kind, row["tx"], row.get("ordinal", 0))

    return {"ids": [row["id"] for row in sorted(args["rows"], key=key)]}


def _number_text(value: Any) -> Any:
    return repr(value) if isinstance(value, float) else value


def _api_trade(args: Args) -> dict[str, Any]:
    shares, usdc = rest.trade_amounts(_number_text(args["size"]), _number_text(args["price"]))
    return {"shares": shares, "usdc": usdc}


def _api_activity_trade(args: Args) -> dict[str, Any]:
    size, price, usdc_size = (_number_text(args[name]) for name in ("size", "price", "usdcSize"))
    result = rest.activity_amounts(args["side"], size, price, usdc_size, args.get("ts", CLOB_V2_CUTOVER_TS))
    return {"shares": result.shares, "cash": result.cash, "fee": result.fee_usdc}


def _neg_risk_yes_price(args: Args) -> dict[str, Any]:
    return {"value": prices.neg_risk_yes_price(args["no_price"], args["no_count"], args["question_count"])}


METRIC_FUNCTIONS: dict[str, Callable[[Args], Any]] = {
    "omega": _omega,
    "omega_shrunk": _omega_shrunk,
    "win_rate": _win_rate,
    "wilson_low": _wilson_low,
    "roi": lambda args: _value(ratios.roi(args["pnl"], args["cost"])),
    "expectancy": lambda args: _value(ratios.expectancy(args["pnls"])),
    "peak_capital": _peak_capital,
    "sharpe": lambda args: _risk_ratio(series.sharpe(args["daily"])),
    "sortino": lambda args: _risk_ratio(series.sortino(args["daily"])),
    "max_drawdown": lambda args: {"value": series.max_drawdown(args["daily"])},
    "kelly": lambda args: _value(skill.kelly(_exact(args["p"]), _price(args))),
    "brier": lambda args: _value(skill.brier(_entries(args))),
    "calibration": _calibration,
    "luck_z": _luck_z,
    "clv": _clv,
    "earliness": lambda args: _value(skill.earliness(args["open"], args["close"], args["entry"])),
    "hhi": lambda args: _value(skill.hhi(args["stakes"])),
    "contrarian": _contrarian,
    "platform_fee": _platform_fee,
    "v1_fee": _v1_fee,
    "v1_fee_refund": _v1_fee_refund,
    "data_api_position": _data_api_position,
    "closed_position": _closed_position,
    "user_pnl_point": _user_pnl_point,
    "api_multiset": _api_multiset,
    "clamp_series": _clamp_series,
    "mark_price": _mark_price,
    "api_order": _api_order,
    "api_trade": _api_trade,
    "api_activity_trade": _api_activity_trade,
    "canonical_price": lambda args: {"value": amounts.price_e6(args["usdc"], args["shares"])},
    "neg_risk_yes_price": _neg_risk_yes_price,
    "fpmm_price": lambda args: {"value": prices.fpmm_price(args["amounts"])},
    "ctf_redeem": lambda args: {"value": prices.ctf_redeem(args["balances"], args["numerators"])},
}
"""Metric name → function of a case's ``args``."""


def evaluate(case: Mapping[str, Any]) -> Any:
    """The result of one metric or id case in the vector file's own shape.

    Raises:
        BadInputError: an unknown metric or function, a missing or malformed argument.
    """
    table, name = (METRIC_FUNCTIONS, case["metric"]) if "metric" in case else (ID_FUNCTIONS, case.get("fn"))
    function = table.get(str(name))
    if function is None:
        raise BadInputError(f"case {case.get('id', '?')}: {shown(name)} is not a metric or id function we know")
    try:
        return function(case["args"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise BadInputError(f"case {case.get('id', '?')}: the arguments do not fit {name}: {error!r}") from error
