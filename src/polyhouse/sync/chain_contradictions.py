"""Logs about markets that contradict what their ids say: rejected one by one, so that the quarantine shows them.

A condition is the hash of its oracle, question and slots, and a token follows from condition and collateral; a log that
says otherwise comes from a lying node, or from a contract that we misread. Such a claim never reaches the token map.
"""

from __future__ import annotations

from collections.abc import Iterator

from polyhouse.domain import contracts, ids
from polyhouse.domain.log_columns import LogColumns
from polyhouse.ports import Reject
from polyhouse.sources.chain.decode import DecodedBatch
from polyhouse.sources.tokens import is_token_of


def contradictions(batch: DecodedBatch) -> list[Reject]:
    """The contradicting claims of a batch: ``condition_mismatch`` and ``token_mismatch``."""
    found: list[Reject] = []
    prepared, registered = batch.columns.get("condition_prepared"), batch.columns.get("token_registered")
    if prepared is not None:
        found += _conditions(prepared)
    if registered is not None:
        found += _tokens(registered)
    return found


def _conditions(prepared: LogColumns) -> Iterator[Reject]:
    for row, slots in enumerate(prepared.ints("slots").tolist()):
        condition, oracle, question = (bytes(prepared.ids(name)[row]) for name in ("condition", "oracle", "question"))
        # Only binary conditions become markets.
        if slots == 2 and ids.condition_id(oracle, question) != condition:
            yield _reject(prepared, row, "condition_mismatch", f"condition 0x{condition.hex()} oracle 0x{oracle.hex()}")


def _tokens(registered: LogColumns) -> Iterator[Reject]:
    for row in range(len(registered)):
        condition = bytes(registered.ids("condition")[row])
        pair = tuple(bytes(registered.ids(name)[row]) for name in ("token0", "token1"))
        is_neg_risk = bytes(registered.emitter[row]) == contracts.NEX1
        # An exchange registers a pair twice, once in each order.
        orders = (pair, pair[::-1])
        if not any(
            all(is_token_of(token, condition, outcome, neg_risk=is_neg_risk) for outcome, token in enumerate(order))
            for order in orders
        ):
            raw = f"condition 0x{condition.hex()} tokens {', '.join(str(int.from_bytes(token)) for token in pair)}"
            yield _reject(registered, row, "token_mismatch", raw)


def _reject(logs: LogColumns, row: int, reason: str, raw: str) -> Reject:
    return Reject(reason, f"0x{bytes(logs.tx[row]).hex()}:{int(logs.log_index[row])}", raw)
