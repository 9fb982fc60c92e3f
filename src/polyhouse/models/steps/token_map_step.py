"""``token_map``: what every token is and is worth; and whose numbers change when that changes."""

from __future__ import annotations

from polyhouse.models.build import Build
from polyhouse.models.gather import stage_of_all
from polyhouse.models.steps.ledger_step import remapped_wallets

_PAIRED = "FROM token_map__next AS n FULL OUTER JOIN (SELECT * FROM token_map FINAL) AS o ON o.token = n.token"
_PLACED = ("condition", "outcome", "neg_risk_market", "question_index")
"""What the ledger rows of a token depend on."""
_SETTLED = ("resolved", "numerator", "denominator", "resolved_ts", "category", "neg_risk_market")
"""What the value of a position depends on, beside its mark."""


def build_token_map(run: Build) -> None:
    """Make ``token_map`` anew. A partial build gains the wallets whose numbers that changes."""
    stage_of_all(run, "fill_marks", run.sql("fill_marks", run.peers.owned()))
    run.write_beside("token_map")
    run.insert("token_map", "1")
    _stage_remapped(run)
    if not run.full:
        run.insert_rows("SELECT DISTINCT condition FROM remapped_tokens WHERE condition != ''", "moved_conditions")
    revalued = [] if run.full else _holders_of_revalued(run)
    if run.wallets is not None:
        remapped = [bytes(wallet) for (wallet,) in run.warehouse.query(run.named(remapped_wallets())).rows]
        run.wallets = list(dict.fromkeys([*run.wallets, *revalued, *remapped]))


def _stage_remapped(run: Build) -> None:
    """Tokens that were unknown, are unknown now, or belong elsewhere; with both places they belonged to."""
    sides = [f"if(side = 'old', o.{name}, n.{name}) AS {name}" for name in ("condition", "neg_risk_market")]
    run.stage_rows(
        "remapped_tokens",
        f"SELECT if(n.token = toFixedString('', 32), o.token, n.token) AS token, {', '.join(sides)},"
        f" o.token = toFixedString('', 32) AS is_new {_PAIRED} ARRAY JOIN ['old', 'new'] AS side"
        f" WHERE {_differ(_PLACED)} AND (side = 'new' OR NOT is_new)",
    )


def _holders_of_revalued(run: Build) -> list[bytes]:
    """Who holds, or held, tokens whose resolution or category changed; who holds those whose mark changed.

    Older versions of positions are asked too: a wallet too many is harmless, and finding the newest rows is not free.
    """
    rows = run.warehouse.query(
        "SELECT DISTINCT p.wallet FROM positions AS p WHERE"
        f" p.token IN (SELECT n.token {_PAIRED} WHERE {_differ(_SETTLED)})"
        f" OR (p.status = 'OPEN' AND p.token IN (SELECT n.token {_PAIRED} WHERE n.mark_e6 IS DISTINCT FROM o.mark_e6))"
    ).rows
    return [bytes(wallet) for (wallet,) in rows]


def _differ(names: tuple[str, ...]) -> str:
    new, old = (", ".join(f"{side}.{name}" for name in names) for side in ("n", "o"))
    return f"(n.token != o.token OR ({new}) != ({old}))"
