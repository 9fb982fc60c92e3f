"""Position changes that are no trades: splits, merges, redemptions, conversions, resolutions, migrations, income.

Which emitter counts is accounting §2.1, whose event an adapter's is §2.6. Condition-level rows stay condition-level;
they are expanded to outcomes by the ledger model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from polyhouse.domain import contracts
from polyhouse.ledger.logs import (
    FULL_PARTITION,
    ZERO_HASH,
    ConditionResolution,
    DecodedLog,
    Income,
    Migrated,
    PayoutRedemption,
    PositionChange,
    PositionsConverted,
    PositionSplit,
)
from polyhouse.ledger.movements import Movement, Movements
from polyhouse.ledger.registry import Registry
from polyhouse.ledger.rows import ChainRows, Observation, Resolution

_COLLATERALS = frozenset({contracts.USDC_E, contracts.WCOL})
_OUTCOMES = 2


class PositionRules:
    """The rules for the position logs of one transaction.

    Args:
        logs: all logs of the transaction, in log order, each once.
        registry: known conditions, markets and contracts.
        out: receives rows, flags and counts.
    """

    def __init__(self, logs: Sequence[DecodedLog], registry: Registry, out: ChainRows) -> None:
        self._registry = registry
        self._out = out
        self._logs = logs
        self._movements: Movements | None = None
        self._last_event: dict[tuple[bytes, bytes], int] = {}

    @property
    def movements(self) -> Movements:
        """The transfers of the transaction, looked at only when an event needs them."""
        if self._movements is None:
            self._movements = Movements(self._logs, self._registry)
        return self._movements

    def change(self, log: PositionChange) -> None:
        """A split or merge: one condition-level row for the wallet it belongs to (§§2.1, 2.2)."""
        if log.emitter == "CTF":
            if self._is_plumbing(log.stakeholder):
                return
            if self._is_foreign(log, log.condition, log.collateral, log.parent, log.partition):
                return
        tokens = self._registry.tokens_of.get(log.condition, ())
        splits = isinstance(log, PositionSplit)
        owner = self._owner(log, log.stakeholder, log.condition, tokens, forward=splits)
        if owner is None:
            return
        if log.amount == 0:
            self._out.ignored["zero_amount"] += 1
            return
        self._append(
            log, owner, "SPLIT" if splits else "MERGE", condition=log.condition, shares=log.amount, cash=log.amount
        )

    def redemption(self, log: PayoutRedemption) -> None:
        """A redemption: its payout as cash, share amounts where NRA or the transfers tell them (§§2.1, 2.4, 2.6)."""
        index_set = 0
        for part in log.index_sets:
            index_set |= part
        if log.emitter == "CTF":
            if self._is_plumbing(log.redeemer):
                return
            if self._is_foreign(log, log.condition, log.collateral, log.parent, FULL_PARTITION):
                return
        since = self._last_event.get((log.redeemer, log.condition), -1)
        redeemed = self._redeemed_tokens(log, index_set)
        owner = self._owner(log, log.redeemer, log.condition, redeemed, forward=False)
        if owner is None:
            return
        amounts = tuple(log.amounts)
        if not amounts and redeemed:
            amounts = self._redeemed_amounts(log, owner, redeemed, since)
        self._append(
            log,
            owner,
            "REDEEM",
            condition=log.condition,
            cash=log.payout,
            index_set=index_set.to_bytes(32, "big"),
            amounts=amounts,
        )

    def conversion(self, log: PositionsConverted) -> None:
        """A neg-risk conversion: one row naming the market, the index set and the amount per NO leg (§2.3)."""
        questions = self._registry.questions_of.get(log.market, {})
        burned = [questions[index][1] for index in sorted(questions) if log.index_set >> index & 1]
        owner = self._owner(log, log.stakeholder, log.market, burned, forward=False)
        if owner is None:
            return
        if log.amount == 0:
            self._out.ignored["zero_amount"] += 1
            return
        if log.market not in self._registry.neg_risk_markets:
            self._out.flag("unknown_market", log)
        self._append(
            log,
            owner,
            "CONVERT",
            condition=log.market,
            shares=log.amount,
            index_set=log.index_set.to_bytes(32, "big"),
        )

    def resolution(self, log: ConditionResolution) -> None:
        """A payout vector; a denominator of zero or other than two outcomes is kept out (§§1.2, 2.4)."""
        if len(log.numerators) != _OUTCOMES or sum(log.numerators) == 0:
            self._out.flag("foreign_condition", log)
            return
        first = self._out.resolve(
            Resolution(log.condition, log.tx, log.block, log.tx_index, log.log_index, log.ts, tuple(log.numerators))
        )
        if not first:
            self._out.flag("resolution_repeated", log)

    def migration(self, log: Migrated) -> None:
        """A migration to Protocol V2: two rows, ``from`` and ``to``; the basis follows (§2.5, U04)."""
        if self._registry.is_infra(log.wallet):
            self._out.flag("infra_wallet", log)
            return
        for sub, (word, token) in enumerate((("from", log.from_token), ("to", log.to_token))):
            condition, outcome = self._registry.place(token)
            self._append(
                log,
                log.wallet,
                "MIGRATE",
                token=token,
                condition=condition,
                outcome=outcome,
                shares=log.amount,
                flags=word,
                label=word,
                sub=sub,
            )

    def income(self, log: Income) -> None:
        """A rebate or reward: income by kind, never position PnL (§2.8)."""
        if self._registry.is_infra(log.wallet):
            self._out.flag("infra_wallet", log)
            return
        self._append(log, log.wallet, "INCOME", cash=log.amount, label=log.label)

    def _owner(
        self, log: DecodedLog, actor: bytes, subject: bytes, tokens: Sequence[bytes], *, forward: bool
    ) -> bytes | None:
        """The wallet an event belongs to; None if it is nobody's, which is counted or flagged."""
        key = (actor, subject)
        since = self._last_event.get(key, -1)
        self._last_event[key] = log.log_index
        if not self._registry.is_relay(actor):
            if not self._registry.is_infra(actor):
                return actor
            self._out.ignored["settlement_internal"] += 1
            return None
        step = self._behind(log, actor, tokens, since, forward=forward)
        if step is None:
            self._out.flag("unattributed", log)
            return None
        party = step.to if forward else step.sender
        if self._is_exchange(party):
            return None
        if self._registry.is_infra(party):
            self._out.flag("unattributed", log)
            return None
        return party

    def _behind(
        self, log: DecodedLog, adapter: bytes, tokens: Sequence[bytes], since: int, *, forward: bool
    ) -> Movement | None:
        if forward:
            found = (self.movements.receiver(adapter, token, log.log_index) for token in tokens)
            return next((step for step in found if step is not None), None)
        # What reached the adapter before its previous event on the same subject was used up by that event, unless
        # nothing came after it: one delivery may serve a merge and a redemption.
        for start in (since, -1):
            for token in tokens:
                step = self.movements.origin(adapter, token, log.log_index, start)
                if step is not None:
                    return step
        return None

    def _redeemed_tokens(self, log: PayoutRedemption, index_set: int) -> list[bytes]:
        """Tokens that took part, those with shares first."""
        tokens = self._registry.tokens_of.get(log.condition, ())
        if log.amounts:
            pairs = sorted(zip(log.amounts, tokens, strict=False), key=lambda pair: pair[0] == 0)
            return [token for _, token in pairs]
        return [token for outcome, token in enumerate(tokens) if index_set >> outcome & 1]

    def _redeemed_amounts(
        self, log: PayoutRedemption, owner: bytes, redeemed: Iterable[bytes], since: int
    ) -> tuple[int, ...]:
        """Shares per outcome from the transfers; () if the transaction shows none (§§2.5, 2.6)."""
        amounts = [0] * _OUTCOMES
        found = False
        relayed = self._registry.is_relay(log.redeemer)
        for token in redeemed:
            outcome = self._registry.place_of[token][1]
            if relayed:
                if self.movements.suppliers(token, log.log_index, since) > 1:
                    self._out.flag("redemption_pooled", log)
                amount = self._relayed_amount(log, owner, token, since)
            else:
                amount = self.movements.burned(owner, token, log.log_index, since)
            if amount is not None:
                amounts[outcome] = amount
                found = True
        return tuple(amounts) if found else ()

    def _relayed_amount(self, log: PayoutRedemption, owner: bytes, token: bytes, since: int) -> int | None:
        """Shares that ``owner`` handed to the adapter; what it burned, if an earlier event shared the delivery."""
        step = self.movements.origin(log.redeemer, token, log.log_index, since)
        if step is not None:
            return step.amount if step.sender == owner else None
        step = self.movements.origin(log.redeemer, token, log.log_index)
        if step is None or step.sender != owner:
            return None
        return self.movements.burned(log.redeemer, token, log.log_index, since)

    def _is_plumbing(self, actor: bytes) -> bool:
        """True, and counted, for machinery that is no adapter: its CTF events are inside of something else (§2.1)."""
        if self._registry.is_relay(actor) or not self._registry.is_infra(actor):
            return False
        self._out.ignored["settlement_internal"] += 1
        return True

    def _is_exchange(self, actor: bytes) -> bool:
        if not self._registry.exchange_symbol(actor):
            return False
        self._out.ignored["settlement_internal"] += 1
        return True

    def _is_foreign(
        self, log: DecodedLog, condition: bytes, collateral: bytes, parent: bytes, partition: tuple[int, ...]
    ) -> bool:
        """True, and flagged, for events of the shared CTF contract that are not Polymarket's (§1.2)."""
        accepted = (
            condition in self._registry.tokens_of
            and collateral in _COLLATERALS
            and parent == ZERO_HASH
            and tuple(sorted(partition)) == FULL_PARTITION
        )
        if not accepted:
            self._out.flag("foreign_condition", log)
        return not accepted

    def _append(self, log: DecodedLog, wallet: bytes, kind: str, **fields: object) -> None:
        row = Observation(wallet, kind, log.tx, log.block, log.tx_index, log.log_index, log.ts)
        self._out.observations.append(row._replace(**fields) if fields else row)  # type: ignore[arg-type]
