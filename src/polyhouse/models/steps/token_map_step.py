"""``token_map``: what every token is and is worth; and whose numbers change when that changes."""

from __future__ import annotations

from polyhouse.models.build import Build
from polyhouse.models.gather import stage_of_all
from polyhouse.models.steps.ledger_step import remapped_wallets

_PLACED = ("condition", "outcome", "neg_risk_market", "question_index")
"""What the ledger rows of a token depend on."""
_SETTLED = ("resolved", "numerator", "denominator", "resolved_ts", "category", "neg_risk_market")
"""What the value of a position depends on, beside its mark."""
_REMAPPED = "token FixedString(32), condition String, neg_risk_market String, is_new UInt8"


def build_token_map(run: Build) -> None:
    """Make ``token_map`` anew. A partial build gains the wallets whose numbers that changes."""
    stage_of_all(run, "fill_marks", run.sql("fill_marks", run.peers.owned()))
    run.write_beside("token_map")
    run.insert("token_map", "1")
    placed, valued = _stage_changed(run)
    if run.wallets is not None:
        run.wallets = list(dict.fromkeys([*run.wallets, *_whose_numbers_change(run, placed=placed, valued=valued)]))


def _stage_changed(run: Build) -> tuple[bool, bool]:
    """Tokens of which anything is known otherwise than in the build before: ``changed_tokens``. And those that were
    unknown, are unknown now, or belong elsewhere, with both places they belonged to: ``remapped_tokens``.

    Returns:
        Whether there are any of the latter; whether any is worth something else.
    """
    places = ", ".join(f"o.{name} AS old_{name}, n.{name} AS new_{name}" for name in ("condition", "neg_risk_market"))
    run.stage_rows(
        "changed_tokens",
        f"SELECT if(n.token = toFixedString('', 32), o.token, n.token) AS token, {places},"
        f" o.token = toFixedString('', 32) AS is_new, {_differ(_PLACED)} AS is_placed,"
        f" {_differ(_SETTLED)} AS is_settled, n.mark_e6 IS DISTINCT FROM o.mark_e6 AS is_marked"
        " FROM token_map__next AS n FULL OUTER JOIN (SELECT * FROM token_map FINAL) AS o ON o.token = n.token"
        " WHERE is_placed OR is_settled OR is_marked",
    )
    placed, valued = run.warehouse.query(
        "SELECT countIf(is_placed), countIf(is_settled OR is_marked) FROM changed_tokens"
    ).rows[0]
    if not placed:
        run.stage_none("remapped_tokens", _REMAPPED)
        return False, bool(valued)
    sides = [f"if(side = 'old', old_{name}, new_{name}) AS {name}" for name in ("condition", "neg_risk_market")]
    run.stage_rows(
        "remapped_tokens",
        f"SELECT token, {', '.join(sides)}, is_new FROM changed_tokens ARRAY JOIN ['old', 'new'] AS side"
        " WHERE is_placed AND (side = 'new' OR NOT is_new)",
    )
    return True, bool(valued)


def _whose_numbers_change(run: Build, *, placed: bool, valued: bool) -> list[bytes]:
    """Whose rows belong elsewhere; who holds, or held, tokens whose resolution or category changed; who holds those
    whose mark changed.

    Older versions of positions are asked too: a wallet too many is harmless, and finding the newest rows is not free.
    """
    found = []
    if placed:
        run.insert_rows("SELECT DISTINCT condition FROM remapped_tokens WHERE condition != ''", "moved_conditions")
        found.append(run.named(remapped_wallets()))
    if valued:
        found.append(
            "SELECT DISTINCT wallet FROM positions WHERE token IN (SELECT token FROM changed_tokens WHERE is_settled)"
            " OR (status = 'OPEN' AND token IN (SELECT token FROM changed_tokens WHERE is_marked))"
        )
    return [bytes(wallet) for sql in found for (wallet,) in run.warehouse.query(sql).rows]


def _differ(names: tuple[str, ...]) -> str:
    new, old = (", ".join(f"{side}.{name}" for name in names) for side in ("n", "o"))
    return f"(n.token != o.token OR ({new}) != ({old}))"
