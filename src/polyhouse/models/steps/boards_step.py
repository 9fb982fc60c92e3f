"""``category_stats`` and ``leaderboard_history``: both of all wallets, from their totals (docs/leaderboards.md)."""

from __future__ import annotations

from polyhouse.metrics.catalogue import METRIC_WINDOWS, computed
from polyhouse.models.build import DAY_SECONDS, Build

HISTORY_PLACES = 1_000
"""Places of each board that are kept."""
HISTORY_DAYS = 100
"""Days for which they are kept, counted back from the newest day of the store."""


def build_category_stats(run: Build) -> None:
    """Make the analytics of all categories anew: one pass over the totals."""
    clv = "clv_mean" if any(metric.name == "clv_mean" for metric in computed()) else "CAST(NULL AS Nullable(Float64))"
    windows = ", ".join(f"'{window}'" for window in METRIC_WINDOWS)
    sql = run.sql("category_stats", "1").replace("/*clv*/", clv).replace("/*windows*/", windows)
    run.insert_rows(sql, run.place_of("category_stats"))


def keep_history(run: Build) -> None:
    """Note the first places of every board: in each full build, and in the first build of a day."""
    today = run.as_of // DAY_SECONDS
    noted = "SELECT count() FROM leaderboard_history WHERE day = toDate({day:UInt16})"
    if not run.full and run.warehouse.query(noted, {"day": today}).rows[0][0]:
        return
    run.insert_rows(
        run.sql("leaderboard_history", "1").replace("/*places*/", str(HISTORY_PLACES)), "leaderboard_history"
    )
    run.warehouse.command(
        "DELETE FROM leaderboard_history WHERE day = toDate({day:UInt16}) AND version < {version:UInt64}"
        " OR day <= toDate({oldest:UInt16})",
        {"day": today, "version": run.version, "oldest": max(today - HISTORY_DAYS, 0)},
    )
