"""The builds of all shards, as one of them sees the others.

A build of one engine has no peers: it asks nobody, waits for nobody and works on every token. On shards each build does
the same steps for its own wallets. Where a row depends on everybody's wallets, the builds meet (``share``): they tell
each other numbers, or each makes a narrow table that the others then copy. What is the same on every shard but too much
work to make on each, the price history, is divided by token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from polyhouse.ports import Warehouse


class Peers:
    """Those of a build of one engine: none. ``models.shards`` has those of several.

    Attributes:
        rank: place of this build's shard, counted from 0.
        count: number of shards.
        late_inserts: so many inserts of the last build are looked at again. Replicas number an insert when it begins,
            so one that was under way when the last build looked may have a number that it believed to have seen.
    """

    rank = 0
    count = 1
    late_inserts = 0

    @property
    def is_alone(self) -> bool:
        """Whether this build has all wallets."""
        return self.count == 1

    def share(self, what: str, value: Any = None) -> list[Any]:
        """Tell all builds a value and hear theirs, in the order of shards; waits until everyone has come so far.

        Args:
            what: names the moment, so that builds that do different things do not take each other's values.
            value: a small one.
        """
        del what
        return [value]

    def others(self) -> Sequence[tuple[int, Warehouse]]:
        """The other shards: rank and engine."""
        return ()

    def define(self, warehouse: Warehouse, sql: str) -> None:
        """Run a statement that makes, drops or exchanges stored tables of this build's engine."""
        warehouse.command(sql)

    def owned(self, rank: int | None = None) -> str:
        """SQL condition on ``token``: those whose prices a shard works on, this one or the one given."""
        return f"cityHash64(token) % {self.count} = {self.rank if rank is None else rank}" if self.count > 1 else "1"
