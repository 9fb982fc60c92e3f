"""Raw logs → typed columns in bulk, every log accounted for: decoded, ignored, kept raw, rejected; never dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from polyhouse.domain.log_columns import Bytes, Column, Ints, LogColumns, Ragged
from polyhouse.domain.log_objects import to_logs
from polyhouse.domain.logs import DecodedLog
from polyhouse.ports import Reject
from polyhouse.sources.chain import eras
from polyhouse.sources.chain.events import Event
from polyhouse.sources.chain.raw import RawLogs, fixed_bytes, read_dicts, sift, sift_columns
from polyhouse.sources.chain.words import EventReader

_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError)


@dataclass(frozen=True, slots=True)
class Alert:
    """Logs that the registry does not cover; ``word`` says how.

    ``unknown_topic``: a known contract emitted an unknown event. ``unknown_exchange``: an unknown contract emits fills.
    ``unknown_contract``: any other unknown emitter. ``outside_era``: a known event before the first or after the last
    block of its era (decoded all the same: the log is real, the registry's figure is wrong).
    """

    word: str
    address: bytes
    topic0: bytes
    count: int
    first: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A log that is kept as received: ``protocol_v2``, or the word of its alert."""

    reason: str
    where: str
    raw: Mapping[str, Any]


@dataclass(slots=True)
class DecodedBatch:
    """What a batch of raw logs is.

    Attributes:
        fetched: logs given; always = decoded + rejected + quarantined + ignored.
        columns: kind → columns, in the order of the input; only kinds that occur.
        rejects: logs that cannot be what they claim to be.
        alerts: what the registry does not know.
        quarantined: logs kept raw.
        ignored: logs that carry nothing for us, by reason.
    """

    fetched: int
    columns: dict[str, LogColumns] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)

    @property
    def decoded(self) -> int:
        """Logs in ``columns``."""
        return sum(map(len, self.columns.values()))

    def to_logs(self) -> Iterator[DecodedLog]:
        """The logs that move money or shares, in (block, log index) order, built as they are asked for."""
        return to_logs(self.columns)


def decode(raw_logs: Sequence[Mapping[str, Any]], *, block_times: Mapping[int, int] | None = None) -> DecodedBatch:
    """Decode logs as ``eth_getLogs`` returns them.

    Args:
        raw_logs: any order, any contracts.
        block_times: block → Unix seconds for every block that occurs (a missing one rejects its logs); None: the logs'
            own ``blockTimestamp``, 0 where they have none.
    """
    try:
        return _decode(read_dicts(raw_logs, block_times))
    except _MALFORMED:
        # Good batches pay nothing for bad ones: only now every log is looked at by itself.
        good, rejects = sift(raw_logs, block_times)
        if not rejects:
            raise
    return _with_rejects(_decode(read_dicts(good, block_times)), rejects)


def decode_columns(raw: RawLogs) -> DecodedBatch:
    """Decode logs that come as columns."""
    try:
        return _decode(raw)
    except _MALFORMED:
        good, rejects = sift_columns(raw)
        if not rejects:
            raise
    return _with_rejects(_decode(good), rejects)


def decode_batches(
    raw_logs: Iterable[Mapping[str, Any]], *, size: int = 20_000, block_times: Mapping[int, int] | None = None
) -> Iterator[DecodedBatch]:
    """Decode a long stream in batches of ``size`` logs; memory does not grow with the stream."""
    logs = iter(raw_logs)
    while batch := list(islice(logs, size)):
        yield decode(batch, block_times=block_times)


def _with_rejects(batch: DecodedBatch, rejects: list[Reject]) -> DecodedBatch:
    batch.fetched += len(rejects)
    batch.rejects = rejects + batch.rejects
    return batch


class _Keys(dict[tuple[str, str], int]):
    """(emitter, topic0) as received → a small number, with what the registry knows about it."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[bytes] = []
        self.topics: list[bytes] = []
        self.eras: list[list[eras.Era]] = []

    def __missing__(self, key: tuple[str, str]) -> int:
        address = fixed_bytes([key[0]], 20).tobytes()
        topic0 = fixed_bytes([key[1]], 32).tobytes()
        self.addresses.append(address)
        self.topics.append(topic0)
        self.eras.append(eras.find(address, topic0))
        self[key] = len(self.addresses) - 1
        return self[key]


def _decode(raw: RawLogs) -> DecodedBatch:
    batch = DecodedBatch(len(raw))
    if not len(raw):
        return batch
    keys = _Keys()
    key_of = np.fromiter(
        (keys[address, topics[0]] for address, topics in zip(raw.address, raw.topics, strict=True)), np.int64, len(raw)
    )
    events, event_of = _events(raw, keys, key_of, batch)
    tx = fixed_bytes(raw.tx, 32)
    emitters = np.frombuffer(b"".join(keys.addresses), np.uint8).reshape(-1, 20)
    for number, event in enumerate(events):
        rows = np.flatnonzero(event_of == number)
        if event.status == "ignored":
            batch.ignored[f"{event.name}: {event.reason}"] += len(rows)
        else:
            _read(event, raw, rows, tx, emitters[key_of[rows]], batch)
    return batch


def _events(raw: RawLogs, keys: _Keys, key_of: Ints, batch: DecodedBatch) -> tuple[list[Event], Ints]:
    """The events that occur and the number of each log's event, -1 for logs that are kept raw."""
    numbers: dict[int, int] = {}
    events: list[Event] = []

    def number(event: Event) -> int:
        if id(event) not in numbers:
            numbers[id(event)] = len(events)
            events.append(event)
        return numbers[id(event)]

    event_of_key = np.array([number(found[0].event) if found else -1 for found in keys.eras], np.int64)
    event_of = event_of_key[key_of]
    covered = np.zeros(len(raw), np.bool_)
    first = np.array([found[0].first_block if found else 0 for found in keys.eras], np.int64)
    last = np.array([_last(found) for found in keys.eras], np.int64)
    covered = (first[key_of] <= raw.block) & (raw.block <= last[key_of])
    for key, found in enumerate(keys.eras):
        for era in found[1:]:
            inside = (key_of == key) & (era.first_block <= raw.block) & (raw.block <= _last([era]))
            event_of[inside] = number(era.event)
            covered |= inside
    if not covered.all():
        for key, rows in _by_key(key_of, ~covered):
            batch.alerts.append(_alert("outside_era", keys, key, raw, rows))
    if (event_of < 0).any():
        for key, rows in _by_key(key_of, event_of < 0):
            _keep_raw(keys, key, raw, rows, batch)
    return events, event_of


def _last(found: list[eras.Era]) -> int:
    last = found[0].last_block if found else None
    return np.iinfo(np.int64).max if last is None else last


def _by_key(key_of: Ints, chosen: npt.NDArray[np.bool_]) -> Iterator[tuple[int, list[int]]]:
    rows = np.flatnonzero(chosen)
    groups: dict[int, list[int]] = {}
    for key, row in zip(key_of[rows].tolist(), rows.tolist(), strict=True):
        groups.setdefault(key, []).append(row)
    yield from groups.items()


def _keep_raw(keys: _Keys, key: int, raw: RawLogs, rows: list[int], batch: DecodedBatch) -> None:
    address = keys.addresses[key]
    reason = eras.QUARANTINED_CONTRACTS.get(address, "")
    if not reason:
        if address in eras.CONTRACTS:
            reason = "unknown_topic"
        else:
            reason = "unknown_exchange" if keys.topics[key] in eras.EXCHANGE_TOPICS else "unknown_contract"
        batch.alerts.append(_alert(reason, keys, key, raw, rows))
    batch.quarantined += [Quarantined(reason, raw.where(row), raw.raw(row)) for row in rows]


def _alert(word: str, keys: _Keys, key: int, raw: RawLogs, rows: list[int]) -> Alert:
    return Alert(word, keys.addresses[key], keys.topics[key], len(rows), raw.where(rows[0]))


def _read(event: Event, raw: RawLogs, rows: Ints, tx: Bytes, emitter: Bytes, batch: DecodedBatch) -> None:
    at = rows.tolist()
    reader = EventReader(event, [raw.topics[row] for row in at], [raw.data[row] for row in at])
    columns = LogColumns(
        event.kind, tx[rows], raw.block[rows], raw.tx_index[rows], raw.log_index[rows], raw.ts[rows], emitter,
        reader.fields,
    )  # fmt: skip
    if reader.reasons:
        batch.rejects += [raw.reject(reason, at[place]) for place, reason in sorted(reader.reasons.items())]
        columns = columns.take(np.setdiff1d(np.arange(len(at)), np.array(list(reader.reasons))))
    if not len(columns):
        return
    known = batch.columns.get(event.kind)
    batch.columns[event.kind] = columns if known is None else join(known, columns)


def join(first: LogColumns, second: LogColumns) -> LogColumns:
    """Two batches of one kind, one behind the other."""
    fields: dict[str, Column] = {}
    for name, column in first.fields.items():
        other = second.fields[name]
        if isinstance(column, Ragged):
            assert isinstance(other, Ragged)
            starts = np.concatenate((column.starts, other.starts[1:] + column.starts[-1]))
            fields[name] = Ragged(np.concatenate((column.values, other.values)), starts)
        else:
            assert not isinstance(other, Ragged)
            merged: npt.NDArray[Any] = np.concatenate((column, other))
            fields[name] = merged
    return LogColumns(
        first.kind,
        np.concatenate((first.tx, second.tx)),
        np.concatenate((first.block, second.block)),
        np.concatenate((first.tx_index, second.tx_index)),
        np.concatenate((first.log_index, second.log_index)),
        np.concatenate((first.ts, second.ts)),
        np.concatenate((first.emitter, second.emitter)),
        fields,
    )
