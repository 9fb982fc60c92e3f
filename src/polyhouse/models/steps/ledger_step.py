"""``ledger`` and ``unmapped``: which source tells what happened, one row per change of a (wallet, token).

The ledger is kept from build to build. A build of all wallets recomputes it for those of whom something changed: rows
that arrived since (the engine numbers inserts) or were taken out, or what is known of a token or a neg-risk market.
When the rules changed, or when it is asked for, everything is made anew.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from polyhouse.models.build import Build, model_sql
from polyhouse.tables import ONE_ROW_KINDS
from polyhouse.warehouse.streaming import BULK

KEPT = ("ledger", "unmapped")
_RULES = ("contested", "best_claims", "chain_conditions", "winners", *KEPT)
_ANEW = 4
"""Above one row in so many that arrived, everything is made anew: cheaper than rewriting most wallets one by one."""
_STALE = "wallet IN (SELECT wallet FROM stale_wallets)"


@dataclass(frozen=True, slots=True)
class LedgerReach:
    """Up to which insert the ledger follows the observations and the neg-risk markets, and by which rules."""

    rules: str
    rows_to: int
    markets_to: int

    def is_continued_by(self, newer: LedgerReach) -> bool:
        """Whether what is newer only added rows."""
        return self.rules == newer.rules and self.rows_to <= newer.rows_to and self.markets_to <= newer.markets_to


def keep_ledger(run: Build) -> LedgerReach | None:
    """Bring the ledger to the rows that are stored now; a partial build does so for its wallets alone.

    Returns:
        What ``store_reach`` is to be told when the build is published; None for a partial one: others may be behind.
    """
    if not run.full:
        for wallets in run.slices():
            _recompute(run, wallets)
        return None
    known, now = _known(run), _reach(run)
    is_due = run.anew or known is None or not known.is_continued_by(now) or _is_much(run, known, now)
    if any(run.peers.share("ledger", is_due)):
        run.truncate("ledger_builds")
        run.write_beside(*KEPT)
        for wallets in run.slices():
            _recompute(run, wallets)
        return now
    assert known is not None
    if _stage_stale(run, known, now):
        for wallets in run.slices(_STALE):
            _recompute(run, wallets)
    return now


def store_reach(run: Build, reach: LedgerReach | None) -> None:
    """Note how far the ledger of all wallets came."""
    if reach is not None:
        run.truncate("ledger_changes")
        run.warehouse.command(
            "INSERT INTO ledger_builds VALUES ({version:UInt64}, {rules:String}, {rows:UInt64}, {markets:UInt64})",
            {"version": run.version, "rules": reach.rules, "rows": reach.rows_to, "markets": reach.markets_to},
        )


def _known(run: Build) -> LedgerReach | None:
    sql = "SELECT rules, rows_to, markets_to FROM ledger_builds ORDER BY version DESC LIMIT 1"
    rows = run.warehouse.query(sql).rows
    if not rows:
        return None
    rules, fills, markets = rows[0]
    return LedgerReach(rules, max(fills - run.peers.late_inserts, 0), max(markets - run.peers.late_inserts, 0))


def _reach(run: Build) -> LedgerReach:
    rules = "".join(model_sql(model, "") for model in _RULES)
    markets = run.warehouse.query("SELECT max(_block_number) FROM neg_risk_markets").rows[0][0]
    return LedgerReach(hashlib.sha256(rules.encode()).hexdigest()[:16], run.rows_to, int(markets))


def _is_much(run: Build, known: LedgerReach, now: LedgerReach) -> bool:
    if known.rows_to == now.rows_to:
        return False
    arrived, stored = run.warehouse.query(
        f"SELECT countIf(_block_number > {known.rows_to}), count() FROM observations"
    ).rows[0]
    return bool(int(arrived) * _ANEW > int(stored))


def _stage_stale(run: Build, known: LedgerReach, now: LedgerReach) -> bool:
    """Write down whose ledger is out of date; whether there is anybody."""
    arrived = f"SELECT wallet FROM observations WHERE _block_number > {known.rows_to}"
    if known.rows_to == now.rows_to:
        arrived += " AND 0"  # nothing is read
    markets = f"SELECT market FROM neg_risk_markets WHERE _block_number > {known.markets_to}"
    stale = (
        f"{arrived} UNION DISTINCT SELECT wallet FROM ledger_changes UNION DISTINCT {remapped_wallets()}"
        " UNION DISTINCT SELECT wallet FROM observations WHERE kind = 'CONVERT' AND (condition IN"
        f" ({markets}) OR condition IN (SELECT condition FROM token_map WHERE neg_risk_market IN ({markets})))"
    )
    run.stage_rows("stale_wallets", run.named(stale))
    return bool(run.warehouse.query("SELECT count() FROM stale_wallets").rows[0][0])


def remapped_wallets() -> str:
    """SELECT of the wallets whose rows belong to other tokens or conditions than before, by ``remapped_tokens``.

    A token that was unknown has left its rows in ``unmapped``; only where a known one became another must all rows be
    asked. A conversion names a market or one of its conditions, and what it changed depends on all questions there.
    """
    new = "FROM remapped_tokens WHERE is_new"
    old = "FROM remapped_tokens WHERE NOT is_new"
    places = "SELECT condition FROM remapped_tokens UNION DISTINCT SELECT neg_risk_market FROM remapped_tokens"
    legs = f"SELECT condition FROM token_map WHERE neg_risk_market != '' AND neg_risk_market IN ({places})"
    return (
        f"SELECT wallet FROM unmapped WHERE token IN (SELECT token {new}) OR condition IN (SELECT condition {new})"
        f" UNION DISTINCT SELECT wallet FROM observations WHERE (SELECT count() {old}) > 0"
        f" AND (token IN (SELECT token {old}) OR condition IN (SELECT condition {old}))"
        " UNION DISTINCT SELECT wallet FROM observations WHERE (SELECT count() FROM remapped_tokens) > 0"
        f" AND kind = 'CONVERT' AND (condition IN ({places}) OR condition IN ({legs}))"
    )


def _recompute(run: Build, wallets: str) -> None:
    """Write the ledger rows of one wallet slice, and what could not be mapped."""
    has_others = _stage_claims(run, wallets)
    winners = run.sql("winners", wallets)
    run.stage_rows("winners", winners.replace("/*kinds*/", f"kind NOT IN {ONE_ROW_KINDS}" if has_others else "0"))
    ones = winners.replace("/*kinds*/", f"kind IN {ONE_ROW_KINDS}")
    run.insert_rows(run.sql("ledger", wallets).replace("/*winners*/", ones), run.place_of("ledger"))
    run.insert("unmapped", wallets)
    for table in KEPT:
        run.bury(table, wallets)
    run.bury_gone()


def _stage_claims(run: Build, wallets: str) -> bool:
    """The transactions of which several sources tell, and who wins there: in most slices there are none.

    Returns:
        Whether any observation is of a kind that may be several rows: to look for the newest ones is dear.
    """
    run.stage("contested", wallets)
    is_contested, has_others = run.warehouse.query(
        "SELECT (SELECT count() > 0 FROM contested),"
        f" (SELECT count() > 0 FROM observations WHERE {wallets} AND kind NOT IN {ONE_ROW_KINDS}) {BULK}"
    ).rows[0]
    if is_contested:
        run.stage("best_claims", wallets)
        run.stage("chain_conditions", wallets)
    else:
        run.stage_none("best_claims", "slot UInt128, best_claim UInt64")
        run.stage_none("chain_conditions", "place UInt128")
    return bool(has_others)
