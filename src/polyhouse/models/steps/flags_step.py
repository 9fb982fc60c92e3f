"""``wallet_flags`` of the chosen wallets, and ``flag_levels``: the q-values of everybody's p-values (docs/flags.md)."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from polyhouse.metrics.chance import Records, q_levels
from polyhouse.metrics.flags import CANDIDATE_HIDDEN, CANDIDATE_TURNED, TESTED
from polyhouse.models.build import Build, model_sql
from polyhouse.models.everybody import WHOSE, of_everybody
from polyhouse.models.flags import chances
from polyhouse.models.gather import stage_answers, stage_of_all
from polyhouse.models.steps.specialists_step import build_edges

if TYPE_CHECKING:
    import pyarrow as pa

_CANDIDATES = (
    "SELECT wallet FROM flag_habits"
    f" WHERE {CANDIDATE_TURNED.denominator} * turned_shares >= {CANDIDATE_TURNED.numerator} * traded_shares"
    f" OR {CANDIDATE_HIDDEN.denominator} * (all_fills - fills) >= {CANDIDATE_HIDDEN.numerator} * all_fills"
)

_CIRCLE_COLUMNS = (
    "wallet FixedString(20), shares Int64, circled Int64, circled_fills Int64, partners Int64, paired_fills Int64"
)
"""Of ``flag_circles.sql``."""


def build_flags(run: Build) -> None:
    """Write the flags of the chosen wallets, or of all where none are stored yet; and their ``category_edges``."""
    if not run.peers.is_alone:
        # Other shards look for the partners of their wallets there.
        run.join_rows("ledger")
        run.peers.share("ledgers are complete")
    everyone = run.full or not run.warehouse.query("SELECT count() FROM wallet_flags").rows[0][0]
    if everyone:
        run.join_rows()
    for wallets in run.slices(everyone=everyone):
        for model in ("flag_pairs", "flag_habits", "event_bets"):
            run.stage(model, wallets)
        bets = build_edges(run, wallets)
        run.stage_rows("flag_candidates", _CANDIDATES)
        _stage_circles(run, wallets)
        _stage_chances(run, bets)
        run.insert("wallet_flags", wallets)
        run.bury("wallet_flags", wallets)
        run.bury_gone()
    _store_levels(run)


def _stage_circles(run: Build, wallets: str) -> None:
    """``flag_circles``: looks through everybody's fills, so only if somebody is to be examined.

    Partners may be wallets of other shards: these are asked for what they know of the candidates.
    """
    if not run.warehouse.query("SELECT count() FROM flag_candidates").rows[0][0]:
        run.stage_none("flag_circles", _CIRCLE_COLUMNS)
        return
    stage_answers(run, "circle_fills", model_sql("circle_fills", "1"), "flag_candidates")
    run.stage("circle_pairs", wallets)
    run.stage_rows("circle_partners", "SELECT DISTINCT partner AS wallet FROM circle_pairs WHERE turned > 0")
    stage_answers(run, "circle_totals", _circle_totals(run), "circle_partners")
    run.stage("flag_circles", wallets)


def _circle_totals(run: Build) -> str:
    """Partners of the chosen wallets may be others."""
    totals = model_sql("circle_totals", "1")
    if run.peers.is_alone:
        return of_everybody(run, "ledger", totals)
    # Other shards answer too, and where rows have one version here they may have two there.
    return totals.replace(WHOSE, "1").replace("FROM ledger ", f"FROM {run.place_of('ledger')} ")


def _stage_chances(run: Build, bets: pa.Table | None) -> None:
    """What chance says of the first bets of each wallet: the table ``flag_chances``."""
    columns = ", ".join(["wallet FixedString(20)", *(f"{field.name} Float64" for field in fields(Records))])
    if bets is None:
        run.stage_none("flag_chances", columns)
    else:
        run.stage_columns("flag_chances", columns, chances(bets))


def _store_levels(run: Build) -> None:
    """q-values from the p-values of all wallets, those that this build did not touch included."""
    import pyarrow as pa

    sql = (
        "SELECT toUInt8(indexOf({flags}, toString(flag)) - 1) AS test, assumeNotNull(p_value) AS chance"
        " FROM wallet_flags FINAL WHERE flag IN ({flags}) AND p_value IS NOT NULL AND /*whose*/"
    )
    tests = of_everybody(run, "wallet_flags", sql.replace("{flags}", repr(list(TESTED))))
    stage_of_all(run, "tested_flags", tests)
    batches = list(run.query_columns("SELECT test, chance FROM tested_flags"))
    tested = np.concatenate([np.zeros(0, np.uint8), *(batch.column(0).to_numpy() for batch in batches)])
    p_values = np.concatenate([np.zeros(0), *(batch.column(1).to_numpy() for batch in batches)])
    found = []
    for test, flag in enumerate(TESTED):
        levels = q_levels(p_values[tested == test])
        found.append(pa.table({
            "flag": pa.array([flag] * len(levels.p_upto), pa.string()),
            "p_upto": pa.array(levels.p_upto, pa.float64()),
            "q_value": pa.array(levels.q_values, pa.float64()),
            "tests": pa.array([levels.tests] * len(levels.p_upto), pa.uint64()),
        }))  # fmt: skip
    every = pa.concat_tables(found)
    if len(every):
        run.write("flag_levels", every)
