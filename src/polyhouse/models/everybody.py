"""Rows of all wallets, which a build of some wallets does not have in one place: it writes theirs apart."""

from __future__ import annotations

from polyhouse.models.build import TOUCHED, Build

WHOSE = "/*whose*/"
"""Stands in a SELECT for a condition on ``wallet``: of whom it is to look at rows."""


def of_everybody(run: Build, table: str, sql: str) -> str:
    """What a SELECT returns for all wallets, if each of its rows is made of the rows of one wallet, or a part of a sum.

    The rows of those who are built are read where the build writes them, those of the others where readers see them.
    To bring both into one table first would have the engine put each of them in order with the others.

    Args:
        run: the build.
        table: keyed by wallet, as all that the SELECT names.
        sql: names published tables; has ``WHOSE`` in each condition on their rows.
    """
    everyone = run.named(sql.replace(WHOSE, "1"))
    if not run.is_apart(table):
        return everyone
    return f"SELECT * FROM ({everyone} UNION ALL {sql.replace(WHOSE, f'NOT ({TOUCHED})')})"
