"""``touched_wallets``: the wallets of a partial build, by which its statements choose rows."""

from __future__ import annotations

from polyhouse.models.build import Build


def stage_touched(run: Build) -> None:
    """Write the wallets of a partial build down. Nothing in a full one."""
    import pyarrow as pa

    if run.wallets is None:
        return
    run.warehouse.command("DROP TABLE IF EXISTS touched_wallets")
    run.warehouse.command("CREATE TABLE touched_wallets (wallet FixedString(20)) ENGINE = MergeTree ORDER BY wallet")
    if run.wallets:
        run.warehouse.insert_arrow("touched_wallets", pa.table({"wallet": pa.array(run.wallets, type=pa.binary(20))}))


def forget_touched(run: Build) -> None:
    """Drop the list when all steps are done."""
    if not run.full:
        run.warehouse.command("DROP TABLE touched_wallets")
