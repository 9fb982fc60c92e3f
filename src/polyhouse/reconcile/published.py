"""Reads what Polymarket publishes about wallets, and chooses the wallets of a sample."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from polyhouse.domain.ids import format_address
from polyhouse.errors import PolyhouseError, UpstreamRefusedError
from polyhouse.ports import Partition, Stream, Warehouse

CONCURRENCY = 8
_FIRST_VERSION = "data_v1."  # announced to end; what it would say is said elsewhere, too
_GONE = {404, 410}


async def read_published(
    warehouse: Warehouse,
    streams: Sequence[Stream],
    wallets: Sequence[bytes],
    *,
    run: int,
    concurrency: int = CONCURRENCY,
    advance: Callable[[int], None] = lambda _: None,
    is_gone: Callable[[str], None] = lambda _: None,
) -> dict[bytes, str]:
    """Read every stream of every wallet to its end and store the rows.

    Args:
        streams: one partition a wallet, keyed by its address.
        advance: called with 1 for every wallet that is done.
        is_gone: called with the name of a stream whose route does not exist any more; its lists are not compared.

    Returns:
        Wallet → what went wrong, for those that could not be read; their numbers are of an earlier time or absent.
    """
    failed: dict[bytes, str] = {}
    queue = iter(wallets)
    gone: set[str] = set()

    async def read(stream: Stream, wallet: bytes) -> None:
        try:
            await _read(warehouse, stream, wallet, run)
        except UpstreamRefusedError as error:
            if error.status not in _GONE or not stream.name.startswith(_FIRST_VERSION):
                raise
            if stream.name not in gone:
                is_gone(stream.name)
            gone.add(stream.name)

    async def work() -> None:
        for wallet in queue:
            try:
                for stream in streams:
                    if stream.name not in gone:
                        await read(stream, wallet)
            except PolyhouseError as error:
                failed[wallet] = str(error)
            advance(1)

    await asyncio.gather(*(work() for _ in range(min(concurrency, len(wallets)))))
    return failed


async def _read(warehouse: Warehouse, stream: Stream, wallet: bytes, run: int) -> None:
    partition = Partition(stream.name, format_address(wallet))
    number = 0
    async for page in stream.pages(partition, {}):
        for table, columns in page.tables.items():
            token = f"{stream.name}:{partition.key}:{number}"
            await asyncio.to_thread(warehouse.write, table, columns, run=run, token=token)
        number += 1
        if page.rejected:
            raise PolyhouseError(f"{page.rejected[0].where}: {len(page.rejected)} rows could not be read")


def sample(warehouse: Warehouse, size: int) -> list[bytes]:
    """Up to ``size`` wallets that traded, spread evenly and the same in every run of the same store."""
    rows = warehouse.query(
        "SELECT wallet FROM wallet_totals FINAL WHERE category = 'overall' AND `window` = 'lifetime' AND trades > 0"
        f" ORDER BY sipHash64(wallet), wallet LIMIT {int(size)}"
    ).rows
    return [bytes(wallet) for (wallet,) in rows]
