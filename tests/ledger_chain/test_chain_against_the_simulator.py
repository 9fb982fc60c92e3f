"""A simulated universe, read by the chain rules, has the holdings and cash of the simulator's own truth."""

from collections import Counter, defaultdict

import pytest

from polyhouse.ledger.chain import observations
from polyhouse.ledger.transfers import share_changes
from polyhouse.ledger.vector_logs import parse_case
from polyhouse.sim.truth import compute_truth
from polyhouse.sim.universe import Universe


def _document(universe, transactions):
    markets = [market for event in universe.events for market in event.markets]
    return {
        "conditions": [
            {"id": m.condition_id, "tokens": list(m.token_ids)}
            | ({"neg_risk_market": m.neg_risk_market_id, "question_index": m.question_index} if m.neg_risk else {})
            for m in markets
        ],
        "neg_risk_markets": [
            {"id": market, "question_count": count, "fee_bips": bips}
            for market, (count, bips) in universe.neg_risk_markets.items()
        ],
        "logs": [
            {"t": log.t, "tx": t.tx, "li": log.li, "bn": t.block, "ti": t.tx_index, "ts": t.ts, **log.fields}
            for t in transactions
            for log in t.logs
        ],
    }


def _held(out, registry):
    """Shares per (wallet, token): sums, except that a redemption without amounts takes what is there."""
    held = defaultdict(int)
    for row in out.observations:
        if row.kind == "REDEEM" and not row.amounts:
            for outcome, token in enumerate(registry.tokens_of[row.condition]):
                if row.index_set[31] >> outcome & 1:
                    held[row.wallet, token] = 0
        elif row.kind.startswith("TRANSFER"):
            held[row.wallet, row.token] += row.shares if row.kind == "TRANSFER_IN" else -row.shares
        for holding, change in share_changes([row], registry).items():
            held[holding] += change
    return held


@pytest.mark.parametrize(("seed", "with_transfers"), [(3, True), (3, False)])
def test_holdings_fees_volume_and_payouts_agree(seed, with_transfers):
    universe = Universe(seed=seed, wallets=100, fills=4000, with_transfers=with_transfers)
    transactions = list(universe.transactions())
    truth = compute_truth(transactions, universe.events, universe.neg_risk_markets, windows=False)
    case = parse_case(_document(universe, transactions))
    out = observations(case.transactions, case.registry, use_transfers=True)
    name = case.symbols.name

    assert {flag.word for flag in out.flags} <= {"self_trade"}
    held = {(name(w), name(t)): shares for (w, t), shares in _held(out, case.registry).items() if shares}
    expected = {
        key: position.shares + position.external_shares
        for key, position in truth.positions.items()
        if position.shares + position.external_shares
    }
    assert held == expected

    sums = defaultdict(Counter)
    for row in out.observations:
        mine = sums[name(row.wallet)]
        mine["fees"] += row.fee_usdc
        mine["income"] += row.cash if row.kind == "INCOME" else 0
        mine["redeemed_cash"] += row.cash if row.kind == "REDEEM" else 0
        if row.role:
            mine["trades"] += 1
            mine["volume"] += row.usdc_gross - row.refund_usdc
    names = ("fees", "income", "redeemed_cash", "trades", "volume")
    assert {w: [s[n] for n in names] for w, s in sums.items()} == {
        w: [getattr(t.totals, n) for n in names] for w, t in truth.wallets.items()
    }
    assert {"TRANSFER_IN", "CONVERT", "REDEEM", "SPLIT", "MERGE", "INCOME"} <= {r.kind for r in out.observations}
    assert {"TAKER", "MAKER"} <= {r.role for r in out.observations}
    assert {name(r.condition): r.numerators for r in reversed(out.resolutions)} == truth.resolutions
