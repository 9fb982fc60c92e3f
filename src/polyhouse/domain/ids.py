"""Addresses, condition ids, hashes and token ids: strict parsers, printers, and their derivation (accounting §5).

Inside the product ids are raw ``bytes``; text exists only at the edges. Every parser accepts exactly the published
spelling (``0x`` and hex digits of either case, or a decimal token id) and raises ``BadInputError`` naming the field,
what was found and what is expected. All derivations are pure: no node is needed to check that a token belongs to a
condition.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Any

from polyhouse.domain import contracts
from polyhouse.errors import BadInputError

FIELD_PRIME = 21888242871839275222246405745257275088696311157297823662689037894645226208583
"""P: the base field of alt_bn128, on whose curve the conditional tokens contract hides collection ids."""
_LEGENDRE_EXPONENT = (FIELD_PRIME - 1) // 2
_ODD_BIT = 1 << 254
_MAX_TOKEN = (1 << 256) - 1
_SHOWN_CHARACTERS = 80
_COLLECTIONS_KEPT = 20_000
"""A collection is found by powers of 254-bit numbers, and asked for once per collateral that a token may have."""

_PROXY_INIT_CODE_HASH = bytes.fromhex("d21df8dc65880a8606f09fe0ce3df9b8869287ab0b058be05aa9e8af6330a00b")
_SAFE_INIT_CODE_HASH = bytes.fromhex("2bce2127ff07fb632d16c8347c4ebf501f4841168bed00d9e6ef715ddb6fcecf")
_UUPS_PREFIX = 0x61003D3D8160233D3973
_UUPS_IMPLEMENTATION = bytes.fromhex("58CA52ebe0DadfdF531Cde7062e76746de4Db1eB")
_UUPS_MIDDLE = bytes.fromhex(
    "60095155f3363d3d373d3d363d7f360894a13ba1a3210667c828492db98dca3e2076"
    "cc3735a920a3ca505d382bbc545af43d6000803e6038573d6000fd5b3d6000f3"
)
_BEACON_PREFIX = 0x6100523D8160233D3973
_BEACON = bytes.fromhex("7A18EDfe055488A3128f01F563e5B479D92ffc3a")
_BEACON_MIDDLE = bytes.fromhex(
    "60195155f3363d3d373d3d363d602036600436635c60da"
    "1b60e01b36527fa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6c"
    "b3582b35133d50545afa5036515af43d6000803e604d573d6000fd5b3d6000f3"
)


def shown(value: object) -> str:
    """A value as an error message may quote it: escaped, and cut so that 10 kB of junk stay one line."""
    if isinstance(value, int) and value.bit_length() > 1000:
        return f"<a number of {value.bit_length()} bits>"
    if not isinstance(value, str | bytes | int | float | Decimal | None):
        return f"<{type(value).__name__}>"
    text = repr(value[: 2 * _SHOWN_CHARACTERS]) if isinstance(value, str | bytes) else repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def _bad_hex(what: str, value: object, digits: str) -> BadInputError:
    if not isinstance(value, str):
        found = f"it is {type(value).__name__}, not text"
    elif not value.startswith("0x"):
        found = "it does not start with 0x"
    elif not (value.isascii() and value[2:].isalnum()) or any(c not in "0123456789abcdefABCDEF" for c in value[2:]):
        found = "it holds characters that are not hex digits"
    else:
        found = f"it has {len(value) - 2} hex digits"
    return BadInputError(f"{what} {shown(value)} is not valid: {found}; expected 0x and {digits} hex digits")


def _parse_hex(value: Any, size: int, what: str) -> bytes:
    if type(value) is str and len(value) == 2 + 2 * size and value[:2] == "0x":
        try:
            raw = bytes.fromhex(value[2:])
        except ValueError:
            raw = b""
        # fromhex skips white space, so a padded text comes out short.
        if len(raw) == size:
            return raw
    raise _bad_hex(what, value, str(2 * size))


def parse_address(text: Any, what: str = "address") -> bytes:
    """20 bytes of ``0x`` + 40 hex digits in any case (accounting §5.1, T09).

    Raises:
        BadInputError: anything else; the message names ``what``.
    """
    return _parse_hex(text, 20, what)


def parse_hash(text: Any, what: str = "hash") -> bytes:
    """32 bytes of a transaction hash, order hash or question id (``0x`` + 64 hex digits).

    Raises:
        BadInputError: anything else.
    """
    return _parse_hex(text, 32, what)


def parse_condition(text: Any, what: str = "condition id") -> bytes:
    """A condition id: 32 bytes, or 31 bytes of Protocol V2 (``0x`` + 64 or 62 hex digits, accounting §5.3).

    Raises:
        BadInputError: anything else.
    """
    size = 31 if isinstance(text, str) and len(text) == 64 else 32
    try:
        return _parse_hex(text, size, what)
    except BadInputError:
        raise _bad_hex(what, text, "64 (Protocol V2: 62)") from None


def parse_token(text: Any, what: str = "token id") -> bytes:
    """An outcome token id as 32 big-endian bytes, from decimal digits, ``0x`` hex or an int (accounting §5.1).

    Decimal text has no sign and no leading zeros; ``0`` means "no token" (the collateral side of a V1 fill).

    Raises:
        BadInputError: anything else, and numbers of more than 256 bits.
    """
    number = -1
    if type(text) is int:
        number = text
    elif type(text) is str and text.isascii():
        if text.isdigit() and len(text) <= 78 and (text[0] != "0" or text == "0"):
            number = int(text)
        elif text[:2] == "0x" and 3 <= len(text) <= 66 and text[2:].isalnum():
            try:
                number = int(text, 0)
            except ValueError:
                number = -1
    if 0 <= number <= _MAX_TOKEN:
        return number.to_bytes(32, "big")
    raise BadInputError(
        f"{what} {shown(text)} is not valid: expected up to 78 decimal digits without sign or leading zeros "
        "(or 0x and up to 64 hex digits), below 2^256"
    )


def format_address(raw: bytes) -> str:
    """Lowercase ``0x`` + 40 hex digits of 20 bytes."""
    return _format_hex(raw, (20,), "address")


def format_hash(raw: bytes) -> str:
    """Lowercase ``0x`` + 64 hex digits of 32 bytes."""
    return _format_hex(raw, (32,), "hash")


def format_condition(raw: bytes) -> str:
    """Lowercase ``0x`` + 64 hex digits, or 62 for a Protocol V2 condition of 31 bytes."""
    return _format_hex(raw, (31, 32), "condition id")


def format_token(raw: bytes) -> str:
    """The decimal text of a token id of 32 bytes."""
    return str(int.from_bytes(_sized(raw, (32,), "token id"), "big"))


def _sized(raw: Any, sizes: tuple[int, ...], what: str) -> bytes:
    if type(raw) is not bytes or len(raw) not in sizes:
        expected = " or ".join(str(size) for size in sizes)
        raise BadInputError(f"{what} {shown(raw)} is not valid: expected {expected} raw bytes")
    return raw


def _format_hex(raw: bytes, sizes: tuple[int, ...], what: str) -> str:
    return "0x" + _sized(raw, sizes, what).hex()


def keccak(data: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it (not SHA3-256)."""
    # Imported here: loading the native library takes longer than all the rest of a short command.
    from Crypto.Hash import keccak as implementation

    return implementation.new(digest_bits=256, data=data).digest()


def topic(signature: str) -> bytes:
    """topic0 of an event: keccak of its canonical signature, e.g. ``Transfer(address,address,uint256)``."""
    return keccak(signature.encode("ascii"))


def condition_id(oracle: bytes, question: bytes, slots: int = 2) -> bytes:
    """The id of the condition that ``oracle`` prepared for ``question`` (accounting §5.3)."""
    _sized(oracle, (20,), "oracle")
    _sized(question, (32,), "question id")
    return keccak(oracle + question + slots.to_bytes(32, "big"))


def collection_id(condition: bytes, index_set: int) -> bytes:
    """The collection of one set of outcomes (bit i = outcome i) of a V1 condition (accounting §5.3).

    The contract maps the hash to the x of a curve point: the next x with x³ + 3 a square, the top bit of the hash
    choosing between the two y. A parent collection of zero is assumed, as on all of Polymarket.
    """
    return _collection(_sized(condition, (32,), "condition id"), index_set)


@lru_cache(maxsize=_COLLECTIONS_KEPT)
def _collection(condition: bytes, index_set: int) -> bytes:
    digest = int.from_bytes(keccak(condition + index_set.to_bytes(32, "big")), "big")
    x = digest % FIELD_PRIME
    while True:
        x = (x + 1) % FIELD_PRIME
        if pow((x * x * x + 3) % FIELD_PRIME, _LEGENDRE_EXPONENT, FIELD_PRIME) == 1:
            break
    if digest >> 255:
        x ^= _ODD_BIT
    return x.to_bytes(32, "big")


def position_id(collateral: bytes, collection: bytes) -> bytes:
    """The ERC-1155 token id of a collection backed by ``collateral``, 32 bytes big-endian (accounting §5.3)."""
    _sized(collateral, (20,), "collateral")
    _sized(collection, (32,), "collection id")
    return keccak(collateral + collection)


def token_ids(condition: bytes, collateral: bytes) -> tuple[bytes, bytes]:
    """Both outcome tokens of a binary condition, index 0 first. Index 0 is not "Yes" in general (accounting §5.4)."""
    return (
        position_id(collateral, collection_id(condition, 1)),
        position_id(collateral, collection_id(condition, 2)),
    )


def neg_risk_question_id(market: bytes, index: int) -> bytes:
    """The id of question ``index`` (0–255) of a neg-risk market: its first 31 bytes and the index (accounting §5.3)."""
    _sized(market, (32,), "neg-risk market id")
    if type(index) is not int or not 0 <= index <= 255:
        raise BadInputError(f"question index {shown(index)} is not valid: expected a whole number from 0 to 255")
    return market[:31] + bytes((index,))


def v2_token_id(condition: bytes, outcome: int) -> bytes:
    """The token of a Protocol V2 condition (31 bytes): condition ‖ outcome, 0 = YES and 1 = NO (accounting §5.3)."""
    return _sized(condition, (31,), "Protocol V2 condition id") + bytes((outcome,))


def neg_risk_market_of(question: bytes) -> bytes:
    """The neg-risk market of a question id: the last byte zeroed (I21)."""
    return _sized(question, (32,), "question id")[:31] + b"\0"


def neg_risk_condition_id(market: bytes, index: int) -> bytes:
    """The condition of question ``index`` of a neg-risk market; the adapter is its oracle."""
    return condition_id(contracts.NEG_RISK_ADAPTER, neg_risk_question_id(market, index))


def create2(factory: bytes, salt: bytes, init_code: bytes = b"", *, init_code_hash: bytes | None = None) -> bytes:
    """The address a factory deploys to: last 20 bytes of keccak(0xff ‖ factory ‖ salt ‖ keccak(init code)).

    ``init_code_hash`` replaces ``init_code`` where only the hash is published.
    """
    _sized(factory, (20,), "factory")
    _sized(salt, (32,), "salt")
    code_hash = keccak(init_code) if init_code_hash is None else _sized(init_code_hash, (32,), "init code hash")
    return keccak(b"\xff" + factory + salt + code_hash)[12:]


def wallet_proxy(signer: bytes) -> bytes:
    """The POLY_PROXY wallet of a signer (accounting §5.2)."""
    salt = keccak(_sized(signer, (20,), "signer"))
    return create2(contracts.PROXY_FACTORY, salt, init_code_hash=_PROXY_INIT_CODE_HASH)


def wallet_safe(signer: bytes) -> bytes:
    """The Safe wallet of a signer (accounting §5.2)."""
    salt = keccak(_sized(signer, (20,), "signer").rjust(32, b"\0"))
    return create2(contracts.SAFE_FACTORY, salt, init_code_hash=_SAFE_INIT_CODE_HASH)


def wallet_deposit_uups(signer: bytes) -> bytes:
    """The deposit wallet of a signer as created before 2026-06-29 (accounting §5.2)."""
    return _wallet_deposit(signer, _UUPS_PREFIX, _UUPS_IMPLEMENTATION, _UUPS_MIDDLE)


def wallet_deposit_beacon(signer: bytes) -> bytes:
    """The deposit wallet of a signer as created since 2026-06-29 (accounting §5.2)."""
    return _wallet_deposit(signer, _BEACON_PREFIX, _BEACON, _BEACON_MIDDLE)


def _wallet_deposit(signer: bytes, prefix: int, target: bytes, middle: bytes) -> bytes:
    factory = contracts.DEPOSIT_FACTORY
    args = factory.rjust(32, b"\0") + _sized(signer, (20,), "signer").rjust(32, b"\0")
    code = (prefix + (len(args) << 56)).to_bytes(10, "big") + target + middle + args
    return create2(factory, keccak(args), code)
