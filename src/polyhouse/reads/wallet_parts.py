"""What is known of one wallet, by parts: what builds left ready, what only syncs change, and what all wallets share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from polyhouse.models import packed_metrics, wallet_documents
from polyhouse.models.questions import OF_WALLET, Part, Question, Row
from polyhouse.ports import Warehouse
from polyhouse.reads.builds import newest_build
from polyhouse.reads.kept_parts import kept_parts_of, mark_of_builds, mark_of_wallet
from polyhouse.reads.parts import read_parts, read_parts_and
from polyhouse.reads.provenance import PARTS as PROVENANCE
from polyhouse.reads.unchanged import changes_of, while_unchanged

_SHARED: Mapping[str, Part] = {
    "build": Question({"build": "max(build)", "as_of": "toUnixTimestamp(argMax(as_of, build))"}, "FROM builds"),
    "chain": PROVENANCE["chain"],
}
"""What is not of a wallet: kept of an embedded store while nobody changed it."""
_OF_SYNCS = {name: PROVENANCE[name] for name in ("sources", "own_feed")}
_DOCUMENT = f"SELECT toString(part) AS part, part_bytes FROM {wallet_documents.TABLE} FINAL WHERE {OF_WALLET}"
_TABLES = (
    wallet_documents.TABLE, "ledger", "positions", "units", "wallet_totals", "wallet_coverage", "wallet_scores_v1",
    "wallet_intervals", "wallet_flags", "wallet_metrics_complete", "wallet_metrics_by_category",
)  # fmt: skip
"""What ``BuiltParts`` are read from."""


@dataclass(frozen=True, slots=True)
class BuiltParts:
    """What only builds change of a wallet.

    Attributes:
        rows: of each part of ``wallet_documents.ASKED``.
        metrics: of ``packed_metrics``; None if only the tables have them.
    """

    rows: dict[str, list[Row]]
    metrics: list[Row] | None


@dataclass(frozen=True, slots=True)
class WalletParts:
    """Everything of a wallet.

    Attributes:
        rows: by part. metrics: see ``BuiltParts``.
        build: number of the newest build, 0 = none. as_of: end of its windows, Unix seconds.
    """

    rows: dict[str, list[Row]]
    metrics: list[Row] | None
    build: int
    as_of: int


def wallet_parts(warehouse: Warehouse, wallet: bytes) -> WalletParts:
    """Read a wallet (20 bytes), by one statement of what is not kept."""
    kept = kept_parts_of(warehouse)
    by_build, by_sync = mark_of_builds(warehouse, *_TABLES), mark_of_wallet(warehouse, wallet)
    built: BuiltParts | None = kept.get(("built", wallet), by_build)
    synced: dict[str, list[Row]] | None = kept.get(("synced", wallet), by_sync)
    shared = _shared(warehouse)
    asked: dict[str, Part] = {} if shared else dict(_SHARED)
    asked |= {} if synced else _OF_SYNCS
    bound = {"wallet": wallet.hex()}
    more = "" if built else _DOCUMENT
    rows, contents = read_parts_and(warehouse, asked, more, bound) if asked or more else ({}, {})
    if built is None:
        built = _built(warehouse, contents, bound)
        kept.put(("built", wallet), by_build, _size(built), built)
    if synced is None:
        synced = {name: rows.pop(name) for name in _OF_SYNCS}
        kept.put(("synced", wallet), by_sync, len(synced), synced)
    shared = shared or rows
    newest = shared["build"][0]
    return WalletParts(built.rows | synced | shared, built.metrics, int(newest["build"]), int(newest["as_of"]))


def _shared(warehouse: Warehouse) -> dict[str, list[Row]]:
    """The parts of ``_SHARED`` of an embedded store; nothing of others, where they are read with the wallet."""
    if changes_of(warehouse) is None:
        return {}
    build, as_of = newest_build(warehouse)
    chain = while_unchanged(
        warehouse, "chain coverage", ("coverage",), lambda: read_parts(warehouse, {"chain": _SHARED["chain"]}, {})
    )
    return {"build": [{"build": build, "as_of": as_of}], **chain}


def _built(warehouse: Warehouse, contents: Mapping[str, bytes], bound: Mapping[str, Any]) -> BuiltParts:
    """What the builds left of a wallet; the tables themselves are asked where they left nothing."""
    found = wallet_documents.unpacked(contents)
    if found is None:
        return BuiltParts(read_parts(warehouse, wallet_documents.ASKED, bound), None)
    return BuiltParts(found, packed_metrics.unpacked(contents))


def _size(built: BuiltParts) -> int:
    """Rows, those of metrics by what they take."""
    return sum(len(rows) + 1 for rows in built.rows.values()) + 10 * len(built.metrics or ())
