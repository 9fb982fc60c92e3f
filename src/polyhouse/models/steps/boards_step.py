"""``category_stats`` and ``leaderboard_history``: both of all wallets, from their totals (docs/leaderboards.md)."""

from __future__ import annotations

from polyhouse.metrics.catalogue import METRIC_WINDOWS, computed
from polyhouse.models.build import DAY_SECONDS, Build, model_sql
from polyhouse.models.everybody import of_everybody
from polyhouse.models.gather import stage_of_all
from polyhouse.models.metric_tables import COMPLETE

HISTORY_PLACES = 1_000
"""Places of each board that are kept."""
HISTORY_DAYS = 100
"""Days for which they are kept, counted back from the newest day of the store."""


def build_category_stats(run: Build) -> None:
    """Make the analytics of all categories anew: one pass over the totals of each shard, then what came of it."""
    clv = "clv_mean" if any(metric.name == "clv_mean" for metric in computed()) else "CAST(NULL AS Nullable(Float64))"
    windows = ", ".join(f"'{window}'" for window in METRIC_WINDOWS)
    rows = model_sql("category_rows", "1").replace("/*windows*/", windows)
    totals = model_sql("category_totals", "1").replace("/*rows*/", of_everybody(run, "wallet_totals", rows))
    run.stage_rows("category_totals", totals)
    measured = of_everybody(run, COMPLETE, model_sql("category_measured", "1").replace("/*clv*/", clv))
    parts = run.sql("category_parts", "1").replace("/*measured*/", measured)
    stage_of_all(run, "category_parts", parts)
    run.insert("category_stats", "1")


def keep_history(run: Build) -> None:
    """Note the first places of every board: in each full build, and in the first build of a day."""
    today = run.as_of // DAY_SECONDS
    noted = "SELECT count() FROM leaderboard_history WHERE day = toDate({day:UInt16})"
    is_noted = not run.full and bool(run.warehouse.query(noted, {"day": today}).rows[0][0])
    if all(run.peers.share("history", is_noted)):
        return
    places = run.sql("leaderboard_history", "1").replace("/*places*/", str(HISTORY_PLACES))
    if not run.peers.is_alone:
        stage_of_all(run, "leaderboard_places", places)
        places = run.sql("leaderboard_merged", "1").replace("/*places*/", str(HISTORY_PLACES))
    run.insert_rows(places, "leaderboard_history")
    run.warehouse.command(
        "DELETE FROM leaderboard_history WHERE day = toDate({day:UInt16}) AND version < {version:UInt64}"
        " OR day <= toDate({oldest:UInt16})",
        {"day": today, "version": run.version, "oldest": max(today - HISTORY_DAYS, 0)},
    )
