"""``data.resolutions`` and ``data.tokens``: lists by id, one request per partition (data-api-v2.md)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from polyhouse.domain.ids import format_token
from polyhouse.domain.times import parse_time
from polyhouse.errors import BadInputError, ConfigError, RowRejectedError
from polyhouse.ports import Page, Partition, Position
from polyhouse.sources.columns import checked, columns, condition_of, counted, tables, token_of
from polyhouse.sources.data_api.envelope import RowsDecoder
from polyhouse.sources.data_api.trades import checked_conditions
from polyhouse.sources.http import HttpClient
from polyhouse.sources.tokens import is_token_of
from polyhouse.sources.walk import digest

MAX_TOKENS = 50
RESOLVED = "resolved"
_PAYOUT_SUM = 1_000_000


class ResolutionRow(msgspec.Struct):
    """One row on the wire. ``payouts`` are in 10⁻⁶ USDC per share; older answers leave it out."""

    condition_id: str
    status: str = ""
    payouts: list[int] | None = None
    resolved_block: int | None = None
    resolved_at: int | str | None = None
    last_update_timestamp: int | str | None = None
    was_disputed: bool | None = None


class TokenRow(msgspec.Struct):
    """One row on the wire. ``structural_condition_id`` belongs to Protocol V2."""

    token_id: str | int
    condition_id: str
    outcome_index: int | None = None
    module: str | None = None
    neg_risk: bool | None = None


_resolutions = RowsDecoder(ResolutionRow, paged=False)
_tokens = RowsDecoder(TokenRow, paged=False)


def _payouts(row: ResolutionRow) -> tuple[list[int], int]:
    """Numerators and time of a resolved row."""
    numerators = row.payouts or []
    if len(numerators) < 2 or min(numerators) < 0 or sum(numerators) == 0 or max(numerators) > _PAYOUT_SUM:
        raise RowRejectedError("bad_payouts", f"payouts {numerators[:4]} cannot be a payout vector")
    return numerators, parse_time(row.resolved_at if row.resolved_at is not None else row.last_update_timestamp)


def _state(row: ResolutionRow) -> tuple[bytes, str, bool, int]:
    """Condition, status, whether it was disputed, time of the last change (0 where it cannot be read)."""
    try:
        updated = parse_time(row.last_update_timestamp)
    except BadInputError:
        updated = 0
    return condition_of(row.condition_id), row.status[:32], bool(row.was_disputed), updated


class Resolutions:
    """Payout vectors and states of up to twenty conditions; partition params ``{"conditions": […]}``.

    Every row tells the state of its market. Rows that are not resolved, and resolved rows without payouts, say nothing
    that can be booked: they are counted as ``unresolved`` and ``without_payouts``. ``log_index`` and
    ``transaction_hash`` belong to the request of the price, not to the resolution, and are not taken.
    """

    name = "data.resolutions"

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    def partition(self, conditions: Sequence[str]) -> Partition:
        """The partition of up to twenty conditions."""
        ids = sorted({text.lower() for text in conditions})
        return Partition(self.name, ids[0] if len(ids) == 1 else digest(ids), {"conditions": ids})

    def restart_position(self, position: Position) -> Position:  # noqa: ARG002 - one request, nothing to resume
        """From the beginning."""
        return {}

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:  # noqa: ARG002
        """See ``ports.Stream``."""
        where = f"{self.name} {partition.key}"
        params = {"condition": checked_conditions(partition)}
        page = await self._client.get("/v2/resolutions", params, _resolutions.decoder(where))
        notes = {"unresolved": 0, "without_payouts": 0}
        rows = []

        def read(row: ResolutionRow) -> tuple[Any, ...]:
            state = _state(row)
            if row.status != RESOLVED:
                notes["unresolved"] += 1
            elif not row.payouts:
                notes["without_payouts"] += 1
            else:
                numerators, ts = _payouts(row)
                rows.append((state[0], ts, counted(row.resolved_block, "resolved_block"), numerators))
            return state

        states = page.read(read)
        now = int(self._client.clock.time())
        table = columns(("condition", "ts", "block", "numerators"), rows, source="resolutions", provisional=False)
        state_table = columns(("condition", "status", "disputed", "updated_ts"), states, seen_at=now)
        yield checked(
            Page(
                tables=tables(resolutions=table, market_states=state_table),
                position={"done_at": now},
                is_last=True,
                fetched=page.fetched,
                rejected=page.rejects,
                notes={name: count for name, count in notes.items() if count},
            ),
            len(states),
        )


class Tokens:
    """What tokens belong to; partition params ``{"tokens": [decimal, …]}``, at most fifty."""

    name = "data.tokens"

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    def partition(self, tokens: Sequence[str]) -> Partition:
        """The partition of up to fifty tokens."""
        ids = sorted(set(tokens))
        return Partition(self.name, ids[0] if len(ids) == 1 else digest(ids), {"tokens": ids})

    def restart_position(self, position: Position) -> Position:  # noqa: ARG002 - one request, nothing to resume
        """From the beginning."""
        return {}

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:  # noqa: ARG002
        """See ``ports.Stream``."""
        where = f"{self.name} {partition.key}"
        wanted = [format_token(token_of(text)) for text in partition.params.get("tokens", ())]
        if not 1 <= len(wanted) <= MAX_TOKENS:
            raise ConfigError(f"{self.name}: {len(wanted)} tokens in one request, expected 1 to {MAX_TOKENS}")
        page = await self._client.get("/v2/tokens", {"token_id": ",".join(wanted)}, _tokens.decoder(where))
        rows = page.read(_token)
        table = columns(("token", "condition", "outcome", "verified"), rows, source="data")
        yield checked(
            Page(
                tables=tables(tokens=table),
                position={"done_at": int(self._client.clock.time())},
                is_last=True,
                fetched=page.fetched,
                rejected=page.rejects,
            ),
            len(rows),
        )


def _token(row: TokenRow) -> tuple[bytes, bytes, int, bool]:
    token, condition = token_of(row.token_id), condition_of(row.condition_id)
    outcome = row.outcome_index
    if outcome is None or outcome not in {0, 1}:
        raise RowRejectedError("unknown_outcome", f"outcome index {outcome}")
    if not is_token_of(token, condition, outcome, neg_risk=bool(row.neg_risk)):
        raise RowRejectedError("token_mismatch", "the token does not belong to the condition")
    return token, condition, outcome, True
