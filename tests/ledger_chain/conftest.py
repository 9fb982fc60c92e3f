"""Short ways to write saved logs and to read what the chain rules make of them."""

from types import SimpleNamespace

import pytest

from polyhouse.ledger.chain import observations
from polyhouse.ledger.vector_logs import parse_case
from polyhouse.ledger.vector_view import fill_view, flag_view

CONDITIONS = [{"id": "A", "tokens": ["AY", "AN"]}, {"id": "B", "tokens": ["BY", "BN"]}]
QUESTIONS = [
    {"id": f"Q{i}", "tokens": [f"Q{i}Y", f"Q{i}N"], "neg_risk_market": "MK", "question_index": i} for i in range(5)
]
MARKET = [{"id": "MK", "question_count": 5, "fee_bips": 200}]


def log(t, li, tx="m1", bn=1, **fields):
    return {"t": t, "tx": tx, "li": li, "bn": bn, **fields}


def buy(li, wallet, token, usdc, shares, *, v=1, taker="OPR", order=None, fee=0, ex=None, **at):
    return _order(li, wallet, token, usdc, shares, "BUY", v, taker, order, fee, ex, at)


def sell(li, wallet, token, shares, usdc, *, v=1, taker="OPR", order=None, fee=0, ex=None, **at):
    return _order(li, wallet, token, shares, usdc, "SELL", v, taker, order, fee, ex, at)


def _order(li, wallet, token, gives, gets, side, v, taker, order, fee, ex, at):
    assets = (
        {"maker_asset": "0" if side == "BUY" else token, "taker_asset": token if side == "BUY" else "0"}
        if v == 1
        else {"side": side, "token": token}
    )
    common = {"v": v, "ex": ex or f"EX{v}", "order": order or f"o{wallet}{li}", "maker": wallet, "taker": taker}
    return log("OrderFilled", li, **at, **common, **assets, maker_amount=gives, taker_amount=gets, fee=fee)


def matched(li, order, ex="EX1", **at):
    return log("OrdersMatched", li, **at, ex=ex, order=order)


def move(li, sender, to, token, amount, **at):
    return log("Transfer", li, **at, **{"from": sender, "to": to, "token": token, "amount": amount})


def derive(*logs, use_transfers=False, **more):
    """Run the rules over saved logs; rows come back as small dicts with symbols."""
    document = {
        "conditions": CONDITIONS + QUESTIONS, "neg_risk_markets": MARKET, "logs": list(logs),
        "use_transfers": use_transfers, **more,
    }  # fmt: skip
    case = parse_case(document)
    out = observations(case.transactions, case.registry, use_transfers=use_transfers)
    name = case.symbols.name
    rows = [
        {
            "kind": row.kind, "wallet": name(row.wallet), "key": f"{name(row.tx)}:{row.pos}", "sub": row.sub,
            "token": name(row.token) if any(row.token) else "",
            "condition": name(row.condition) if row.condition else "",
            "shares": row.shares, "cash": row.cash, "amounts": tuple(row.amounts), "label": row.label,
            "index_set": int.from_bytes(row.index_set, "big"), "flags": row.flags, "fee": row.fee_usdc,
            "outcome": row.outcome, "role": row.role, "volume": row.usdc_gross - row.refund_usdc,
        }
        for row in out.observations
    ]  # fmt: skip
    return SimpleNamespace(
        rows=rows,
        fills=fill_view(out.observations, case.symbols),
        flags=flag_view(out.flags, case.symbols),
        ignored=dict(out.ignored),
        resolutions=[(name(r.condition), r.numerators, f"{name(r.tx)}:{r.pos}") for r in out.resolutions],
        out=out,
        case=case,
    )


@pytest.fixture(scope="session")
def chain():
    """The builders and ``derive`` under one name."""
    return SimpleNamespace(log=log, buy=buy, sell=sell, matched=matched, move=move, derive=derive)
