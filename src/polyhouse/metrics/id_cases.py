"""Id functions of the vector format: text in, text out (see ``vectors``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from polyhouse.domain import ids
from polyhouse.domain.contracts import WCOL
from polyhouse.errors import BadInputError

Args = Mapping[str, Any]
"""Arguments of a case."""


def _of_signer(derive: Callable[[bytes], bytes]) -> Callable[[Args], str]:
    return lambda args: ids.format_address(derive(ids.parse_address(args["signer"])))


def _create2(args: Args) -> str:
    factory, salt = ids.parse_address(args["factory"]), ids.parse_hash(args["salt"], "salt")
    if "init_code_hash" in args:
        code_hash = ids.parse_hash(args["init_code_hash"], "init code hash")
        return ids.format_address(ids.create2(factory, salt, init_code_hash=code_hash))
    try:
        code = bytes.fromhex(args["init_code"].removeprefix("0x"))
    except ValueError:
        raise BadInputError(f"init code {ids.shown(args['init_code'])} is not valid: expected 0x and hex") from None
    return ids.format_address(ids.create2(factory, salt, code))


def _question(args: Args) -> bytes:
    return ids.parse_hash(args["question_id"] if "question_id" in args else args["question"], "question id")


def _condition_id(args: Args) -> str:
    oracle = ids.parse_address(args["oracle"], "oracle")
    return ids.format_condition(ids.condition_id(oracle, _question(args), args.get("slots", 2)))


def _collection_id(args: Args) -> str:
    return ids.format_hash(ids.collection_id(ids.parse_condition(args["condition"]), args["index_set"]))


def _position_id(args: Args) -> str:
    collateral = ids.parse_address(args["collateral"], "collateral")
    index_set = args["index_set"] if "index_set" in args else 1 << args["outcome_index"]
    collection = ids.collection_id(ids.parse_condition(args["condition"]), index_set)
    return ids.format_token(ids.position_id(collateral, collection))


def _token_ids(args: Args) -> list[str]:
    collateral = ids.parse_address(args["collateral"], "collateral")
    return [ids.format_token(token) for token in ids.token_ids(ids.parse_condition(args["condition"]), collateral)]


def _market(args: Args) -> bytes:
    return ids.parse_hash(args["market"], "neg-risk market id")


def _neg_risk_position_id(args: Args) -> str:
    condition = ids.neg_risk_condition_id(_market(args), args["question_index"])
    return ids.format_token(ids.token_ids(condition, WCOL)[args["outcome"]])


ID_FUNCTIONS: dict[str, Callable[[Args], Any]] = {
    "wallet_proxy": _of_signer(ids.wallet_proxy),
    "wallet_safe": _of_signer(ids.wallet_safe),
    "wallet_deposit_uups": _of_signer(ids.wallet_deposit_uups),
    "wallet_deposit_beacon": _of_signer(ids.wallet_deposit_beacon),
    "create2": _create2,
    "condition_id": _condition_id,
    "collection_id": _collection_id,
    "position_id": _position_id,
    "token_ids": _token_ids,
    "neg_risk_question_id": lambda args: ids.format_hash(
        ids.neg_risk_question_id(_market(args), args["question_index"])
    ),
    "neg_risk_market_of": lambda args: ids.format_hash(ids.neg_risk_market_of(_question(args))),
    "neg_risk_condition_id": lambda args: ids.format_condition(
        ids.neg_risk_condition_id(_market(args), args["question_index"])
    ),
    "neg_risk_position_id": _neg_risk_position_id,
    "topic": lambda args: ids.format_hash(ids.topic(args["signature"])),
}
"""Id function name → function of a case's ``args``."""
