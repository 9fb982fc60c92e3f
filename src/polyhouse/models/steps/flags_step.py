"""``wallet_flags`` of the chosen wallets, and ``flag_levels``: the q-values of everybody's p-values (docs/flags.md)."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from polyhouse.domain.categories import CATEGORIES
from polyhouse.metrics.chance import Records, q_levels, records
from polyhouse.metrics.flags import TESTED
from polyhouse.models.build import BULK, Build
from polyhouse.models.steps.specialists_step import build_edges

if TYPE_CHECKING:
    import pyarrow as pa

_E9 = 1_000_000_000
_CANDIDATES = (
    "SELECT wallet FROM flag_habits WHERE 10 * turned_shares >= 3 * traded_shares"
    " OR 5 * (all_fills - fills) >= all_fills"
)


def build_flags(run: Build) -> None:
    """Write the flags of the chosen wallets, or of all where none are stored yet; and their ``category_edges``."""
    everyone = run.full or not run.warehouse.query("SELECT count() FROM wallet_flags").rows[0][0]
    for wallets in run.slices(everyone=everyone):
        for model in ("flag_pairs", "flag_habits", "event_bets"):
            run.stage(model, wallets)
        build_edges(run, wallets)
        run.stage_rows("flag_candidates", _CANDIDATES)
        run.stage("flag_circles", wallets)
        _stage_chances(run)
        run.insert("wallet_flags", wallets)
        run.bury("wallet_flags", wallets)
    run.warehouse.command("DROP TABLE IF EXISTS flag_chances")
    _store_levels(run)


def _stage_chances(run: Build) -> None:
    """What chance says of the first bets of each wallet: the table ``flag_chances``."""
    import pyarrow as pa

    run.warehouse.command("DROP TABLE IF EXISTS flag_chances")
    numbers = ", ".join(f"{field.name} Float64" for field in fields(Records))
    run.warehouse.command(f"CREATE TABLE flag_chances (wallet FixedString(20), {numbers}) ENGINE = Memory")
    batches = list(run.warehouse.query_columns(f"SELECT * FROM event_bets ORDER BY wallet, category, event {BULK}"))
    bets = pa.Table.from_batches(batches) if batches else None
    if bets is not None and len(bets):
        run.warehouse.insert_arrow("flag_chances", chances(bets))


def chances(bets: pa.Table) -> pa.Table:
    """Per wallet its record (``metrics.chance``), from rows of ``event_bets`` in their order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wallets = bets.column("wallet").combine_chunks()
    starts = starts_of(wallets)
    category = pc.index_in(bets.column("category").cast(pa.string()), value_set=pa.array(CATEGORIES))
    places = pc.fill_null(category, len(CATEGORIES)).to_numpy().astype(np.int64)
    record = records(starts, _shares(bets, "price_e9"), _shares(bets, "payout_e9"), places)
    found = {field.name: getattr(record, field.name).astype(np.float64) for field in fields(Records)}
    return pa.table({"wallet": wallets.take(pa.array(starts[:-1])), **found})


def starts_of(wallets: pa.Array) -> Any:
    """Place of the first row of each wallet, and the number of rows at the end; equal wallets stand together."""
    raw = np.frombuffer(wallets.buffers()[1], dtype=np.uint8)
    rows = raw[wallets.offset * 20 : (wallets.offset + len(wallets)) * 20].reshape(-1, 20)
    changes = np.flatnonzero((rows[1:] != rows[:-1]).any(axis=1)) + 1
    return np.concatenate([[0], changes, [len(rows)]]).astype(np.int64)


def _shares(table: pa.Table, name: str) -> Any:
    return table.column(name).to_numpy() / _E9


def _store_levels(run: Build) -> None:
    """q-values from the p-values of all wallets, those that this build did not touch included."""
    import pyarrow as pa

    command = run.warehouse.command
    command("DROP TABLE IF EXISTS flag_levels__next")
    command("CREATE TABLE flag_levels__next AS flag_levels")
    for flag in TESTED:
        rows = run.warehouse.query(
            f"SELECT p_value FROM {run.place_of('wallet_flags')} FINAL"
            " WHERE flag = {flag:String} AND p_value IS NOT NULL",
            {"flag": flag},
        ).rows
        levels = q_levels([p for (p,) in rows])
        if levels.tests:
            run.warehouse.insert_arrow(
                "flag_levels__next",
                pa.table({
                    "flag": [flag] * len(levels.p_upto), "p_upto": levels.p_upto, "q_value": levels.q_values,
                    "tests": pa.array([levels.tests] * len(levels.p_upto), type=pa.uint64()),
                }),
            )  # fmt: skip
    command("EXCHANGE TABLES flag_levels AND flag_levels__next")
    command("DROP TABLE flag_levels__next")
