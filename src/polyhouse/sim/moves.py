"""Position changes that are not trades: splits, merges, redemptions, conversions, transfers, income (accounting §2).

Each function changes the balances and appends the logs. Before the cut-over wallets talk to the conditional tokens
contract or to the neg-risk adapter; afterwards mostly through the collateral adapters, which then stand in the logs
for the wallet and are recognised by the transfers of the same transaction (§2.6).
"""

from __future__ import annotations

from itertools import pairwise

from polyhouse.domain import contracts, ids
from polyhouse.sim.board import Board, Draft
from polyhouse.sim.match_logs import merge_pair, split_pair

BURN = ids.format_address(contracts.NEG_RISK_BURN)


def adapter_of(board: Board) -> str:
    """The collateral adapter of a market in the V2 era."""
    return "NADP" if board.market.neg_risk else "ADP"


def split(draft: Draft, board: Board, wallet: int, address: str, amount: int, *, adapted: bool) -> None:
    """A wallet turns ``amount`` µ$ into that many of both outcomes (§2.2)."""
    split_pair(draft, board, amount, address, adapter_of(board) if adapted else "")
    board.credit(wallet, 0, amount)
    board.credit(wallet, 1, amount)


def merge(draft: Draft, board: Board, wallet: int, address: str, amount: int, *, adapted: bool) -> None:
    """A wallet turns pairs back into collateral (§2.2)."""
    board.debit(wallet, 0, amount)
    board.debit(wallet, 1, amount)
    merge_pair(draft, board, amount, address, adapter_of(board) if adapted else "")


def redeem(draft: Draft, board: Board, wallet: int, address: str, *, adapted: bool, relayed: bool) -> None:
    """A wallet gives up its whole balance of both outcomes for the payout (§2.4).

    ``relayed``: the auto redeemer carries the tokens to the adapter.
    """
    market = board.market
    numerators = market.numerators
    assert numerators is not None
    held = (board.held(wallet, 0), board.held(wallet, 1))
    payout = sum(q * v // sum(numerators) for q, v in zip(held, numerators, strict=True))
    adapter = adapter_of(board) if adapted else ""
    path = [address, *(["AR"] if adapted and relayed else []), *([adapter] if adapter else [])]
    if market.neg_risk:
        path.append("NRA")
    path.append("ZERO")
    for outcome, amount in enumerate(held):
        if amount:
            board.debit(wallet, outcome, amount)
            for source, target in pairwise(path):
                draft.move(source, target, market.token_ids[outcome], amount)
    common = {"condition": market.condition_id, "payout": payout}
    if market.neg_risk:
        ctf = {"src": "CTF", "redeemer": "NRA", **common, "index_sets": [1, 2]}
        draft.add("PayoutRedemption", ctf)
        nra = {"src": "NRA", "redeemer": adapter or address, **common, "amounts": list(held)}
        draft.add("PayoutRedemption", nra)
    else:
        fields = {"src": "CTF", "redeemer": adapter or address, **common, "index_sets": [1, 2]}
        draft.add("PayoutRedemption", fields)


def convert(draft: Draft, board: Board, wallet: int, address: str, amount: int, bips: int, *, adapted: bool) -> bool:
    """A wallet converts NO of every question it holds enough of; False if there is nothing to convert (§2.3)."""
    burned = [b for b in board.group if not b.resolved and b.held(wallet, 1) >= amount]
    credited = [b for b in board.group if b not in burned]
    if amount <= 0 or not burned or not all(b.traded for b in board.group):
        return False
    if credited and all(b.resolved for b in credited):
        return False
    holder = "NADP" if adapted else address
    out = amount - amount * bips // 10_000
    for leg in burned:
        leg.debit(wallet, 1, amount)
        if adapted:
            draft.move(address, holder, leg.market.token_ids[1], amount)
        draft.move(holder, BURN, leg.market.token_ids[1], amount)
    for leg in credited:
        yes, no = leg.market.token_ids
        draft.move("ZERO", "NRA", yes, amount)
        draft.move("ZERO", "NRA", no, amount)
        fields = {"src": "CTF", "stakeholder": "NRA", "condition": leg.market.condition_id, "amount": amount}
        draft.add("PositionSplit", dict(fields))
        draft.move("NRA", BURN, no, amount)
        draft.move("NRA", holder, yes, out)
        leg.credit(wallet, 0, out)
    draft.add(
        "PositionsConverted",
        {
            "stakeholder": holder,
            "market": board.market.neg_risk_market_id,
            "index_set": sum(1 << leg.market.question_index for leg in burned),
            "amount": amount,
        },
    )
    if adapted:
        for leg in credited:
            draft.move(holder, address, leg.market.token_ids[0], out)
    return True


def transfer(draft: Draft, board: Board, people: list[str], pair: tuple[int, int], outcome: int, amount: int) -> None:
    """One wallet sends outcome tokens to another one (§2.5)."""
    source, target = pair
    board.debit(source, outcome, amount)
    board.credit(target, outcome, amount)
    draft.move(people[source], people[target], board.market.token_ids[outcome], amount)
