"""Commits the pages that a killed process had taken over and not yet written (see ``journal``)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from polyhouse.errors import PolyhouseError, RetryableError
from polyhouse.ports import Checkpoint
from polyhouse.sync.journal import Journal
from polyhouse.sync.manifest import Delivery
from polyhouse.sync.walk import Checkpoints
from polyhouse.sync.writer import BatchWriter, Lane


async def recover(journal: Journal, writer: BatchWriter, state: Checkpoints) -> int:
    """Hand left-behind pages to the writer and wait until they are committed; returns how many they were.

    A page counts only if its number is the next one of its partition: what was committed, reset or read on meanwhile
    is passed over, and the pages behind a gap too.

    Raises:
        RetryableError: warehouse or state store are unavailable; the journal stays.
    """
    lanes: dict[tuple[str, str], Lane] = {}
    pages: dict[tuple[str, str], int] = {}
    found = 0
    left: Iterator[Delivery] = journal.left_behind()
    while (delivery := await asyncio.to_thread(next, left, None)) is not None:
        key = (delivery.stream, delivery.partition)
        if key not in pages:
            checkpoint: Checkpoint | None = await asyncio.to_thread(state.checkpoint, *key)
            pages[key] = checkpoint.pages if checkpoint else 0
        if delivery.seq != pages[key] + 1:
            continue
        lane = lanes.get(key) or lanes.setdefault(key, writer.lane(*key))
        try:
            await lane.submit(delivery.position_from, delivery.page, delivery.seq)
        except RetryableError:
            raise
        except PolyhouseError:
            continue  # this partition's pages cannot be stored: its own walk will say so
        pages[key] += 1
        found += 1
    for lane in lanes.values():
        await _settled(lane)
    if writer.failure is not None:
        raise writer.failure
    journal.forget_left_behind()
    return found


async def _settled(lane: Lane) -> None:
    try:
        await lane.settle()
    except PolyhouseError:
        return  # a page that cannot be stored; an outage is the writer's failure
