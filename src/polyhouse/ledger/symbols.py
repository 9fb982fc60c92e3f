"""Symbols of saved log files ↔ binary ids.

Wallets, tokens, contracts and transactions may be symbols (``W1``, ``AY``, ``EX1``, ``d1``) or real ids (``0x…``,
decimal tokens). A symbol gets a synthetic id that is a hash of it, so the same file always gives the same ids. A hex
id in upper and in lower case is one id (accounting §5.1).
"""

from __future__ import annotations

from typing import Any

from polyhouse.domain import contracts, ids
from polyhouse.errors import BadInputError
from polyhouse.ledger.amm import lp_token

_HASH_LENGTH = 66


def text_of(value: Any, what: str) -> str:
    """``value`` as non-empty text.

    Raises:
        BadInputError: anything else.
    """
    if not isinstance(value, str) or not value:
        raise BadInputError(f"{what} {ids.shown(value)} is not a name or an id")
    return value


class SymbolTable:
    """Symbols ↔ binary ids of one case. Ids of different kinds (wallet, token, condition, …) never meet.

    Args:
        namespace: makes the synthetic ids of one case differ from those of another, so that both fit in one store.

    Attributes:
        invented: symbols that are no ids, and were given synthetic ones.
    """

    def __init__(self, namespace: str = "") -> None:
        self._namespace = namespace
        self._names: dict[bytes, str] = {}
        self.invented: set[str] = set()

    def name(self, raw: bytes) -> str:
        """The symbol of an id as the file spelt it; real ids in lower case, tokens in decimal."""
        known = self._names.get(raw)
        return known if known is not None else "0x" + raw.hex()

    def address(self, text: Any) -> bytes:
        """A wallet, pool or contract."""
        symbol = text_of(text, "address")
        if symbol.startswith("0x"):
            return ids.parse_address(symbol)
        return self._keep(symbol, contracts.SYMBOLS.get(symbol) or self._synthetic("address", symbol)[12:])

    def token(self, text: Any) -> bytes:
        """An outcome token; ``0`` is collateral, ``LP:<pool>`` the pool's LP token."""
        if isinstance(text, int):
            text = str(text)
        symbol = text_of(text, "token")
        if symbol.isdigit() or symbol.startswith("0x"):
            raw = ids.parse_token(symbol)
            return self._keep(ids.format_token(raw), raw)
        if symbol.startswith("LP:"):
            return self._keep(symbol, lp_token(self.address(symbol[3:])))
        return self._keep(symbol, self._synthetic("token", symbol))

    def condition(self, text: Any) -> bytes:
        """A condition or a neg-risk market."""
        symbol = text_of(text, "condition")
        if symbol.startswith("0x"):
            return ids.parse_condition(symbol)
        return self._keep(symbol, self._synthetic("condition", symbol))

    def hash(self, text: Any, kind: str) -> bytes:
        """A transaction or an order; a shortened hash is a symbol like any other, since it only tells rows apart."""
        symbol = text_of(text, kind)
        if symbol.startswith("0x") and len(symbol) == _HASH_LENGTH:
            return ids.parse_hash(symbol)
        return self._keep(symbol, self._synthetic(kind, symbol))

    def _synthetic(self, kind: str, symbol: str) -> bytes:
        self.invented.add(symbol)
        return ids.keccak(f"{self._namespace}{kind}:{symbol}".encode("utf-8", "surrogatepass"))

    def _keep(self, symbol: str, raw: bytes) -> bytes:
        self._names.setdefault(raw, symbol)
        return raw
