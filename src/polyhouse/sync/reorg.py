"""Re-organisations: compare the stored end of the chain with the node, and take abandoned blocks out again.

Order of a removal: coverage first, so that the blocks are read again whatever happens; the block hashes last, so that
an unfinished removal is found and repeated. Until the models are rebuilt, a note names the wallets that lost rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from polyhouse.errors import UpstreamContractError
from polyhouse.ports import Checkpoint, Warehouse
from polyhouse.sources.chain.rpc import ChainReader
from polyhouse.sync.chain_registry import ORACLES, mark_unsettled
from polyhouse.sync.manifest import position_text
from polyhouse.sync.store import RunState

REBUILD_NOTE = "chain.rebuild"
"""Note: wallets (hex) whose models are to be rebuilt because rows of theirs were removed; "all" if too many."""
PENDING_NOTE = "chain.pending"
"""Note: rows of the chain changed since the models were built."""
STREAMS = ("chain.registry", "chain.ledger")
_MOST_NAMED = 20_000


async def find_fork(warehouse: Warehouse, reader: ChainReader, head: int) -> int | None:
    """The lowest stored block that the node's chain does not have; None if all stored blocks are in it.

    Blocks above the node's head say nothing: it may be behind.

    Raises:
        UpstreamContractError: a final block is another one now: deeper than the confirmation depth, or a wrong node.
    """
    # The end of the last final range is stored with its hash; everything above it is compared.
    rows = warehouse.query(
        """
        SELECT block, hash, finality FROM chain_blocks FINAL
        WHERE block <= {head:UInt32}
          AND block >= (SELECT max(to_block) FROM coverage FINAL
                        WHERE source = 'chain' AND finality = 'final' AND to_block <= {head:UInt32})
        ORDER BY block
        """,
        {"head": head},
    ).rows
    headers = await reader.headers([int(block) for block, _, _ in rows])
    for (block, stored, finality), header in zip(rows, headers, strict=True):
        if bytes(stored) == header.hash:
            continue
        if str(finality) == "final":
            raise UpstreamContractError(
                f"block {int(block):,} is final here, but the node has another one",
                hint="the node follows another chain or fork; nothing was changed. Check POLYHOUSE_RPC_URL",
            )
        return int(block)
    return None


def remove_from(warehouse: Warehouse, state: RunState, run: int, fork: int, now: int, token: str) -> None:
    """Take everything that blocks from ``fork`` on said out of the store. Harmless to repeat.

    Args:
        warehouse: where the rows are.
        state: where checkpoints and notes are.
        run: number of the run.
        fork: the first abandoned block.
        now: Unix seconds.
        token: name of the writes.
    """
    _remember_wallets(warehouse, state, fork)
    _rewind(warehouse, state, run, fork, now, token)
    on_chain = "source = 'chain' AND "
    _delete(warehouse, "coverage", f"{on_chain}to_block >= {{b:UInt32}}", fork)
    _forget_prices(warehouse, fork)
    warehouse.command(
        f"INSERT INTO ledger_changes SELECT DISTINCT wallet FROM observations WHERE {on_chain}block >= {{b:UInt32}}",
        {"b": fork},
    )
    _delete(warehouse, "observations", f"{on_chain}block >= {{b:UInt32}}", fork)
    _delete(warehouse, "resolutions", f"{on_chain}block >= {{b:UInt32}}", fork)
    if _count(warehouse, "chain_logs", "block >= {b:UInt32} AND status = 'registry'", fork):
        # What remains of their neg-risk markets may lie anywhere below: all are counted again.
        mark_unsettled(state, 0)
        _forget_markets(warehouse, fork)
    for table in ("chain_pools", "chain_logs", "chain_blocks"):
        _delete(warehouse, table, "block >= {b:UInt32}", fork)


def _count(warehouse: Warehouse, table: str, where: str, fork: int) -> int:
    return int(warehouse.query(f"SELECT count() FROM {table} WHERE {where}", {"b": fork}).rows[0][0])


def _delete(warehouse: Warehouse, table: str, where: str, fork: int) -> None:
    """A deletion costs as much when it finds nothing, so that is asked first."""
    if _count(warehouse, table, where, fork):
        warehouse.command(f"DELETE FROM {table} WHERE {where}", {"b": fork})


def _forget_prices(warehouse: Warehouse, fork: int) -> None:
    """What the price history has from these blocks; the next build finds the prices of their transactions anew."""
    where = "source = 'chain' AND block >= {b:UInt32}"
    warehouse.command(
        f"INSERT INTO price_changes SELECT DISTINCT token, tx_key FROM priced_fills WHERE {where}", {"b": fork}
    )
    _delete(warehouse, "priced_fills", where, fork)


def _remember_wallets(warehouse: Warehouse, state: RunState, fork: int) -> None:
    rows = warehouse.query(
        "SELECT DISTINCT hex(wallet) FROM observations WHERE source = 'chain' AND block >= {b:UInt32}"
        " UNION DISTINCT SELECT DISTINCT hex(wallet) FROM positions FINAL WHERE token IN ("
        "SELECT token FROM tokens FINAL WHERE condition IN ("
        "SELECT condition FROM resolutions FINAL WHERE source = 'chain' AND block >= {b:UInt32}))",
        {"b": fork},
    ).rows
    known = state.get_note(REBUILD_NOTE)
    if known == "all":
        return
    wallets = set(known or ()) | {str(row[0]).lower() for row in rows}
    state.set_note(REBUILD_NOTE, "all" if len(wallets) > _MOST_NAMED else sorted(wallets))


def expect_rebuild(state: RunState) -> None:
    """Say that rows are about to change. If the last time nobody rebuilt the models afterwards (a kill, a stop), the
    wallets of those rows are unknown, and all have to be rebuilt.
    """
    if state.get_note(PENDING_NOTE):
        state.set_note(REBUILD_NOTE, "all")
    state.set_note(PENDING_NOTE, 1)


def wallets_to_rebuild(state: RunState) -> Sequence[bytes] | None:
    """Wallets that lost rows and whose models still show them; None = all."""
    known = state.get_note(REBUILD_NOTE) or []
    return None if known == "all" else [bytes.fromhex(name) for name in known]


def rebuilt(state: RunState, built: Sequence[bytes] | None = None) -> None:
    """The models are up to date again.

    Args:
        state: where the notes are.
        built: what ``wallets_to_rebuild`` said before the build (None = all); what another machine added since stays.
    """
    names = None if built is None else {wallet.hex() for wallet in built}

    def rest(known: Any) -> Any:
        if names is None or not known:
            return None
        return known if known == "all" else [name for name in known if name not in names] or None

    if state.get_note(REBUILD_NOTE):
        state.change_note(REBUILD_NOTE, rest)
    if state.get_note(PENDING_NOTE):
        state.set_note(PENDING_NOTE, None)


def _rewind(warehouse: Warehouse, state: RunState, run: int, fork: int, now: int, token: str) -> None:
    """Checkpoints stand before the fork again; the manifest says so too, or a start-up check would move them back."""
    moved: list[Checkpoint] = []
    for stream in STREAMS:
        for one in state.checkpoints(stream):
            if int(one.position.get("block", -1)) >= fork:
                position = {"block": fork - 1, "hash": ""}
                moved.append(
                    Checkpoint(
                        stream, one.partition, position, "partial",
                        pages=one.pages + 1, rows=one.rows, rejected=one.rejected, updated_at=now,
                    )
                )  # fmt: skip
    if not moved:
        return
    count = len(moved)
    columns: dict[str, list[Any]] = {
        "stream": [one.stream for one in moved],
        "partition": [one.partition for one in moved],
        "position_from": [position_text(one.position) for one in moved],
        "position_to": [position_text(one.position) for one in moved],
        "rows": [0] * count,
        "rejected": [0] * count,
        "ignored": [0] * count,
        "seq": [one.pages for one in moved],
        "is_last": [False] * count,
        "digest": [_digest(token, one) for one in moved],
        "written_at": [now] * count,
    }
    warehouse.write("sync_pages", columns, run=run, token=token)
    state.restore_checkpoints(moved)


def _digest(token: str, one: Checkpoint) -> bytes:
    import hashlib

    return hashlib.sha256(f"{token}/{one.stream}/{one.partition}/{one.pages}".encode()).digest()


def _forget_markets(warehouse: Warehouse, fork: int) -> None:
    """Markets that only abandoned blocks prepared or registered are unknown again, unless another source has them."""
    block = {"b": fork}
    prepared = (
        "(SELECT CAST(topics[2], 'String') FROM chain_logs FINAL WHERE status = 'registry'"
        " AND event = 'ConditionPreparation' AND block >= {b:UInt32})"
    )
    registered = (
        "(SELECT CAST(topics[4], 'String') FROM chain_logs FINAL WHERE status = 'registry'"
        " AND event = 'TokenRegistered' AND length(topics) = 4 AND block >= {b:UInt32})"
    )
    # A registration in an abandoned block proves nothing, but an earlier preparation still does.
    still = (
        "(SELECT CAST(topics[2], 'String') FROM chain_logs FINAL WHERE status = 'registry'"
        " AND event = 'ConditionPreparation' AND block < {b:UInt32})"
    )
    # So does a pool, but of oracles that prepare for everybody only the pool made it ours.
    ours = f"hex(topics[3]) IN ({', '.join(sorted(repr(bytes(12).hex() + one.hex()).upper() for one in ORACLES))})"
    pooled = "(SELECT condition FROM chain_pools FINAL WHERE block >= {b:UInt32})"
    gone = (
        f"(condition IN {prepared} OR (condition IN {registered} AND condition NOT IN {still})"
        f" OR (condition IN {pooled} AND condition NOT IN {still[:-1]} AND {ours})))"
    )
    named = "condition IN (SELECT condition FROM markets FINAL WHERE source != 'chain')"
    warehouse.command(f"DELETE FROM tokens WHERE {gone} AND NOT {named}", block)
    warehouse.command(f"DELETE FROM markets WHERE source = 'chain' AND {gone}", block)
    warehouse.command(
        "DELETE FROM tokens WHERE token IN (SELECT toFixedString(concat(toFixedString('', 12), pool), 32)"
        " FROM chain_pools FINAL WHERE block >= {b:UInt32})",
        block,
    )
    market = "CAST(topics[2], 'String')"
    events = "status = 'registry' AND event IN ('MarketPrepared', 'QuestionPrepared')"
    warehouse.command(
        f"DELETE FROM neg_risk_markets WHERE source = 'chain' AND market IN (SELECT {market} FROM chain_logs FINAL"
        f" WHERE {events} AND block >= {{b:UInt32}}) AND market NOT IN (SELECT {market} FROM chain_logs FINAL"
        f" WHERE {events} AND block < {{b:UInt32}})",
        block,
    )
