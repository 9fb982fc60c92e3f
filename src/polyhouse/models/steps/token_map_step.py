"""``token_map``: what every token is and is worth; and whose numbers change when that changes."""

from __future__ import annotations

from polyhouse.models.build import Build


def build_token_map(run: Build) -> None:
    """Make ``token_map`` anew. A partial build gains the holders of the tokens that changed."""
    command = run.warehouse.command
    run.stage("fill_marks", "1")
    command("DROP TABLE IF EXISTS token_map__next")
    command("CREATE TABLE token_map__next AS token_map")
    run.insert("token_map", "1", target="token_map__next")
    if run.wallets is not None:
        known = set(run.wallets)
        run.wallets += [wallet for wallet in _holders_of_changed_tokens(run) if wallet not in known]
    command("EXCHANGE TABLES token_map AND token_map__next")
    command("DROP TABLE token_map__next")


def _holders_of_changed_tokens(run: Build) -> list[bytes]:
    rows = run.warehouse.query(
        "SELECT DISTINCT p.wallet FROM positions AS p FINAL WHERE p.token IN ("
        " SELECT n.token FROM token_map__next AS n LEFT JOIN (SELECT * FROM token_map FINAL) AS o"
        " ON o.token = n.token WHERE (n.resolved, n.numerator, n.denominator, n.resolved_ts, n.category,"
        " n.neg_risk_market) != (o.resolved, o.numerator, o.denominator, o.resolved_ts, o.category,"
        " o.neg_risk_market)) OR (p.status = 'OPEN' AND p.token IN ("
        " SELECT n.token FROM token_map__next AS n LEFT JOIN (SELECT * FROM token_map FINAL) AS o"
        " ON o.token = n.token WHERE n.mark_e6 IS DISTINCT FROM o.mark_e6))"
    ).rows
    return [bytes(wallet) for (wallet,) in rows]
