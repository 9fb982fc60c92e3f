"""One range of raw logs → the rows of its page: the logs themselves, what they mean, and which blocks were read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, compress, pairwise

import numpy as np

from polyhouse.domain.log_columns import byte_list
from polyhouse.domain.log_objects import KINDS
from polyhouse.ledger.fill_columns import chain_rows
from polyhouse.ports import Page, Reject
from polyhouse.sources.chain import eras
from polyhouse.sources.chain.blocks import Header, RawLog
from polyhouse.sources.chain.decode import DecodedBatch, decode
from polyhouse.sources.chain.raw import fixed_bytes
from polyhouse.sources.chain.rpc import LogRange
from polyhouse.sync.chain_contradictions import contradictions
from polyhouse.sync.chain_registry import RegistryCache, market_rows
from polyhouse.sync.coverage import REGISTRY, digest
from polyhouse.tables import Columns

_WORD = 32
_LOG_COLUMNS = (
    "tx", "block", "log_index", "tx_index", "block_hash", "address", "topics", "data", "data_bytes", "ts", "event",
    "status",
)  # fmt: skip


def page_of(
    found: LogRange,
    group: str,
    cache: RegistryCache,
    *,
    final_block: int,
    seen_at: int,
    is_last: bool,
    registry_to: int,
) -> Page:
    """The page of one range.

    Args:
        found: logs and headers.
        group: contract group, see ``sync.coverage``.
        cache: what is known about markets.
        final_block: the last block that is deep enough to stay.
        seen_at: Unix seconds.
        is_last: nothing follows in the partition.
        registry_to: up to this block every market of the chain is known; -1 if not from the beginning.

    Raises:
        UpstreamContractError: the logs contradict each other.
    """
    batch = decode(found.logs)
    rejected = {reject.where.lower() for reject in batch.rejects}
    stored = log_columns([log for log in found.logs if _where(log) not in rejected])
    notes: Counter[str] = Counter({f"alert_{alert.word}": alert.count for alert in batch.alerts})
    tables, more = (
        market_rows(batch) if group == REGISTRY else ledger_rows(batch, cache, knows_all=found.last <= registry_to)
    )
    notes.update(more)
    rejects = [Reject(one.reason, one.where, one.raw) for one in batch.rejects]
    if group == REGISTRY:
        rejects += contradictions(batch)  # those logs are stored, what they claim is not
    tables["chain_logs"] = stored
    tables["chain_blocks"] = block_columns(found.headers, final_block)
    tables["coverage"] = {
        "source": ["chain"],
        "contract_group": [group],
        "from_block": [found.first],
        "to_block": [found.last],
        "rows": [len(stored["tx"])],
        "digest": [digest(stored)],
        "to_hash": [found.headers[-1].hash],
        "finality": [_finality(found.last, final_block)],
        "seen_at": [seen_at],
    }
    return Page(
        tables=tables,
        position={"block": found.last, "hash": found.headers[-1].hash.hex()},
        is_last=is_last,
        fetched=len(stored["tx"]) + len(rejects) + 1,  # the covered range is a row, too
        rejected=rejects,
        notes=dict(notes),
    )


def ledger_rows(
    batch: DecodedBatch, cache: RegistryCache, *, knows_all: bool
) -> tuple[dict[str, Columns], Counter[str]]:
    """What complete transactions mean: ``observations`` and ``resolutions``, and facts for the report.

    Args:
        batch: their logs, decoded.
        cache: what is known about markets.
        knows_all: every market of the chain up to here is known.
    """
    registry = cache.registry(batch.columns)
    rows = chain_rows(batch.columns, registry, use_transfers=True)
    notes = Counter(f"flag_{flag.word}" for flag in rows.flags)
    notes["ledger_logs"] = sum(len(part) for kind, part in batch.columns.items() if kind in KINDS)
    found = rows.observations
    if knows_all:
        # The contract of the tokens is shared: who gave whom the tokens of another application is none of ours. While
        # markets may be unknown, such rows stay and are visible as unmapped.
        pairs = zip(found["condition"], found["kind"], strict=True)
        kept = [bool(condition) or not kind.startswith("TRANSFER") for condition, kind in pairs]
        notes["foreign_transfers"] = len(kept) - sum(kept)
        if not all(kept):
            found = {name: list(compress(values, kept)) for name, values in found.items()}
    return {"observations": found, "resolutions": rows.resolutions}, notes


def log_columns(logs: Sequence[RawLog]) -> Columns:
    """Columns of ``chain_logs`` from logs that the decoder accepted, with ``blockTimestamp`` set."""
    if not logs:
        return {name: [] for name in _LOG_COLUMNS}
    topics = [log["topics"] for log in logs]
    blocks, emitters = _numbers(logs, "blockNumber"), _ids((log["address"] for log in logs), 20)
    data, sizes = _words([log["data"] for log in logs])
    kinds = _Kinds()
    firsts = [log_topics[0] if log_topics else "" for log_topics in topics]
    named = [kinds.of(*place) for place in zip(emitters, firsts, blocks, strict=True)]
    return {
        "tx": _ids((log["transactionHash"] for log in logs), _WORD),
        "block": blocks,
        "log_index": _numbers(logs, "logIndex"),
        "tx_index": _numbers(logs, "transactionIndex"),
        "block_hash": _ids((log["blockHash"] for log in logs), _WORD),
        "address": emitters,
        "topics": _cut(_ids(chain.from_iterable(topics), _WORD), map(len, topics)),
        "data": data,
        "data_bytes": sizes,
        "ts": _numbers(logs, "blockTimestamp"),
        "event": [event for event, _ in named],
        "status": [status for _, status in named],
    }


def _numbers(logs: Sequence[RawLog], name: str) -> list[int]:
    return [int(log[name], 16) for log in logs]


def _ids(texts: Iterable[str], size: int) -> list[bytes]:
    return byte_list(fixed_bytes(list(texts), size))


def _words(texts: Sequence[str]) -> tuple[list[tuple[bytes, ...]], list[int]]:
    """Hex data as words of 32 bytes, the last one of each padded with zeros, and its bytes."""
    sizes = [len(text) // 2 - 1 for text in texts]
    counts = [-(-size // _WORD) for size in sizes]
    padded = "".join([text[2:].ljust(2 * _WORD * count, "0") for text, count in zip(texts, counts, strict=True)])
    flat = np.frombuffer(bytes.fromhex(padded), np.uint8).reshape(-1, _WORD)
    return _cut(byte_list(flat), counts), sizes


def _cut(flat: list[bytes], counts: Iterable[int]) -> list[tuple[bytes, ...]]:
    """A list cut into tuples of these lengths."""
    ends = list(accumulate(counts, initial=0))
    return [tuple(flat[first:end]) for first, end in pairwise(ends)]


class _Kinds:
    """``classify`` with a memory: a page holds thousands of logs of a few contracts."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, str], tuple[str, str] | None] = {}

    def of(self, address: bytes, topic0: str, block: int) -> tuple[str, str]:
        """(name of the event, status); the block counts only where one contract has several eras."""
        key = (address, topic0)
        if key not in self._known:
            topic = bytes.fromhex(topic0[2:])
            has_eras = len(eras.find(address, topic)) > 1
            self._known[key] = None if has_eras else classify(address, topic, block)
        return self._known[key] or classify(address, bytes.fromhex(topic0[2:]), block)


def classify(address: bytes, topic0: bytes, block: int) -> tuple[str, str]:
    """(name of the event, status) of a log by the era registry."""
    found = eras.find(address, topic0)
    if found:
        era = eras.lookup(address, topic0, block) or found[0]
        return era.event.name, era.event.status
    return "", "quarantine" if address in eras.QUARANTINED_CONTRACTS else "unknown"


def block_columns(headers: Sequence[Header], final_block: int) -> Columns:
    """Columns of ``chain_blocks``."""
    return {
        "hash": [header.hash for header in headers],
        "block": [header.number for header in headers],
        "parent": [header.parent for header in headers],
        "ts": [header.ts for header in headers],
        "finality": [_finality(header.number, final_block) for header in headers],
    }


def _finality(block: int, final_block: int) -> str:
    return "final" if block <= final_block else "soft"


def _where(log: RawLog) -> str:
    return f"{log.get('transactionHash')}:{int(log['logIndex'], 16)}".lower()
