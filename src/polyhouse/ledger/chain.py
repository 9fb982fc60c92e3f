"""Chain rules: decoded logs of complete transactions → observations (accounting §§1–2).

A pure function: the same logs give the same rows in whatever order and however often they are delivered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter

from polyhouse.domain.ids import format_hash
from polyhouse.errors import UpstreamContractError
from polyhouse.ledger.amm import pool_rows
from polyhouse.ledger.fills import fill_rows
from polyhouse.ledger.logs import (
    ConditionResolution,
    DecodedLog,
    FeeRefunded,
    Income,
    Migrated,
    OrderFilledV1,
    OrderFilledV2,
    OrdersMatched,
    PayoutRedemption,
    PositionChange,
    PositionsConverted,
    Transfer,
)
from polyhouse.ledger.positions import PositionRules
from polyhouse.ledger.registry import ConditionInfo, NegRiskMarket, Registry
from polyhouse.ledger.rows import ChainRows, Flag, Observation, Resolution
from polyhouse.ledger.transfers import transfer_rows

__all__ = [
    "ChainRows", "ConditionInfo", "DecodedLog", "Flag", "NegRiskMarket", "Observation", "Registry", "Resolution",
    "observations",
]  # fmt: skip

_TRADE_LOGS = frozenset({OrderFilledV1, OrderFilledV2, OrdersMatched, FeeRefunded})
_log_index = attrgetter("log_index")
_row_order = attrgetter("pos", "sub")


def observations(
    transactions: Iterable[Sequence[DecodedLog]], registry: Registry, *, use_transfers: bool = False
) -> ChainRows:
    """Observations, resolutions and flags of a batch of complete transactions.

    Args:
        transactions: the relevant logs of each transaction. Any order, repetitions allowed, a transaction may come in
            parts; but all logs of a transaction must be in the batch, since matches and adapters are read across them.
        registry: known conditions, neg-risk markets, pools and contracts.
        use_transfers: derive TRANSFER_IN/OUT rows from ERC-1155 residuals (§2.5); needs all Transfer logs of the batch.

    Returns:
        Rows in chain order, never owned by a contract of the market itself.

    Raises:
        UpstreamContractError: two different logs claim one (transaction, log index), or one transaction is in two
            blocks: a re-organised block must be deleted before it is read again (§1.7).
    """
    out = ChainRows()
    for logs in _canonical(transactions):
        _transaction(logs, registry, out, use_transfers=use_transfers)
    return out


def _canonical(transactions: Iterable[Sequence[DecodedLog]]) -> list[list[DecodedLog]]:
    """Every transaction once with every log once, in chain order."""
    by_tx: dict[bytes, list[DecodedLog]] = {}
    for part in transactions:
        for log in part:
            known = by_tx.get(log.tx)
            if known is None:
                by_tx[log.tx] = [log]
            else:
                known.append(log)
    result = [_each_once(logs) for logs in by_tx.values()]
    result.sort(key=lambda logs: (logs[0].block, logs[0].tx_index, logs[0].log_index, logs[0].tx))
    return result


def _each_once(logs: list[DecodedLog]) -> list[DecodedLog]:
    """The logs of one transaction in log order without repetitions (§1.7)."""
    if len(logs) == 1:
        return logs
    logs.sort(key=_log_index)
    first = logs[0]
    result = [first]
    for log in logs[1:]:
        if log.block != first.block or log.tx_index != first.tx_index:
            raise UpstreamContractError(
                f"transaction {format_hash(log.tx)} is delivered at {first.block}/{first.tx_index} and at "
                f"{log.block}/{log.tx_index} (block/index)",
                hint="a re-organised block must be removed before it is read again",
            )
        previous = result[-1]
        if log.log_index != previous.log_index:
            result.append(log)
        elif type(log) is not type(previous) or log != previous:
            raise UpstreamContractError(
                f"two different logs claim {format_hash(log.tx)}:{log.log_index}",
                hint="the source delivered contradicting logs; nothing of this batch was used",
            )
        elif log.ts < previous.ts:
            # Feeds disagree about times; the earliest makes the result independent of the order of delivery.
            result[-1] = log
    return result


def _transaction(logs: list[DecodedLog], registry: Registry, out: ChainRows, *, use_transfers: bool) -> None:
    start, first_flag = len(out.observations), len(out.flags)
    trades = [log for log in logs if type(log) in _TRADE_LOGS]
    if trades:
        fill_rows(trades, registry, out)
    if len(trades) < len(logs):
        rules = PositionRules(logs, registry, out)
        for log in logs:
            if type(log) not in _TRADE_LOGS:
                _other(log, rules, registry, out)
        if use_transfers and rules.movements.items:
            end = logs[-1]
            template = Observation(b"", "", end.tx, end.block, end.tx_index, end.log_index, end.ts)
            rows = out.observations[start:]
            out.observations += transfer_rows(rows, rules.movements.items, template, registry)
        out.observations[start:] = sorted(out.observations[start:], key=_row_order)
    if len(out.flags) - first_flag > 1:
        out.flags[first_flag:] = sorted(out.flags[first_flag:], key=attrgetter("log_index", "word"))


def _other(log: DecodedLog, rules: PositionRules, registry: Registry, out: ChainRows) -> None:
    if isinstance(log, Transfer) or pool_rows(log, registry, out):
        return
    if isinstance(log, PositionChange):
        rules.change(log)
    elif isinstance(log, PayoutRedemption):
        rules.redemption(log)
    elif isinstance(log, PositionsConverted):
        rules.conversion(log)
    elif isinstance(log, ConditionResolution):
        rules.resolution(log)
    elif isinstance(log, Migrated):
        rules.migration(log)
    elif isinstance(log, Income):
        rules.income(log)
    else:
        out.ignored[type(log).__name__] += 1
