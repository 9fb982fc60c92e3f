"""Decoded logs from a file, through the chain rules, as rows of tables: the format that ``polyhouse replay`` reads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyhouse.domain.ids import shown
from polyhouse.domain.times import parse_time
from polyhouse.errors import BadInputError
from polyhouse.ports import Reject
from polyhouse.tables import Columns

if TYPE_CHECKING:
    from polyhouse.ledger.vector_logs import VectorCase

_MOST_BYTES = 512 << 20


def log_tables(path: Path) -> tuple[dict[str, Columns], int, list[Reject]]:
    """Tables of the logs of a file, the number of its logs, and those that cannot be read.

    The file is one object with ``logs`` (and ``conditions``, ``neg_risk_markets``, ``fpmms``), or one log a line.

    Raises:
        BadInputError: not such a file, or names instead of ids in it: those have a meaning only inside ``replay``.
        UpstreamContractError: two different logs claim one place in a transaction.
    """
    from polyhouse.ledger.chain import observations
    from polyhouse.ledger.vector_logs import parse_case
    from polyhouse.sources.files.records import reject

    document = _document(path)
    good, rejects = [], []
    for place, entry in enumerate(document["logs"], start=1):
        problem = _problem(entry)
        if problem:
            rejects.append(reject("bad_log", path, place, entry, problem))
        else:
            good.append(entry)
    case = parse_case({**document, "logs": good})
    if names := _names(case):
        raise BadInputError(f"{path.name}: {shown(min(names))} is a name, not an id")
    rows = observations(case.transactions, case.registry, use_transfers=case.use_transfers)
    tables = {name: columns for name, columns in rows.tables().items() if any(columns.values())}
    tables |= _market_tables(case.conditions, case.registry.pools)
    if case.neg_risk_markets:
        tables["neg_risk_markets"] = {
            "market": [market.market for market in case.neg_risk_markets],
            "question_count": [market.question_count for market in case.neg_risk_markets],
            "fee_bips": [market.fee_bips for market in case.neg_risk_markets],
            "source": ["file"] * len(case.neg_risk_markets),
        }
    return tables, len(document["logs"]), rejects


def _document(path: Path) -> dict[str, Any]:
    from polyhouse.sources.files.records import open_bytes

    with open_bytes(path) as stream:
        text = stream.read(_MOST_BYTES + 1)
    if len(text) > _MOST_BYTES:
        raise BadInputError(f"{path.name}: more than {_MOST_BYTES >> 20} MB of logs", hint="Split it by transactions.")
    try:
        document = json.loads(text)
    except ValueError:
        try:
            document = {"logs": [json.loads(line) for line in text.splitlines() if line.strip()]}
        except (ValueError, RecursionError) as error:
            raise BadInputError(f"{path.name}: not valid JSON: {error}") from None
    except RecursionError:
        raise BadInputError(f"{path.name}: not valid JSON: nested too deeply") from None
    if isinstance(document, list):
        document = {"logs": document}
    if not isinstance(document, dict) or not isinstance(document.get("logs"), list):
        raise BadInputError(f"{path.name}: an object with a list of logs is expected")
    return document


def _problem(entry: Any) -> str:
    """Why one log cannot be read by itself, "" if it can."""
    from polyhouse.ledger.vector_logs import parse_case

    if not isinstance(entry, dict):
        return "it is no object"
    if not entry.get("ts"):
        return "it has no time"
    try:
        parse_time(entry["ts"], "ts")
        invented = _names(parse_case({"logs": [entry]}))
    except BadInputError as error:
        return str(error)
    return f"{shown(min(invented))} is a name, not an id" if invented else ""


def _names(case: VectorCase) -> set[str]:
    """Names that stand where ids belong; the operator of ``fillOrder`` has none and is never a wallet."""
    from polyhouse.ledger.vector_logs import OPERATOR

    return case.symbols.invented - {OPERATOR}


def _market_tables(conditions: Any, pools: Iterable[bytes]) -> dict[str, Columns]:
    """Tokens that the file names and that are their condition's by derivation; others stay out and in ``unmapped``.

    The LP shares of a pool are a token and a unit of their own (accounting §2.7).
    """
    from polyhouse.ledger.amm import lp_token
    from polyhouse.sources.files.rows import mapping_of

    token: Columns = {name: [] for name in ("token", "condition", "outcome", "source", "verified")}
    market: Columns = {name: [] for name in ("condition", "source", "tokens", "neg_risk_market", "question_index")}
    for info in conditions:
        mapping = mapping_of(info.condition, info.tokens[0])
        if mapping is None or mapping.tokens != info.tokens:
            continue
        index = info.question_index if info.neg_risk_market else 65_535
        row = (info.condition, "file", list(info.tokens), info.neg_risk_market, index)
        for name, value in zip(market, row, strict=True):
            market[name].append(value)
        for outcome, one in enumerate(info.tokens):
            for name, value in zip(token, (one, info.condition, outcome, "file", True), strict=True):
                token[name].append(value)
    for lp in map(lp_token, pools):
        for name, value in zip(token, (lp, lp, 0, "file", True), strict=True):
            token[name].append(value)
    return {name: rows for name, rows in (("tokens", token), ("markets", market)) if rows["condition"]}
