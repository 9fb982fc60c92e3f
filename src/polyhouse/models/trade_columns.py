"""Trades from fills, as columns: the fills of one token in one transaction of a wallet, together (docs/entries.md).

Left out are self trades: the wallet buys and sells the token in the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from polyhouse.ledger.columns import Bytes, Ints, binary_cells, differs
from polyhouse.models.arrow_columns import binary, numbers
from polyhouse.models.build import Build
from polyhouse.models.token_facts import places_of

if TYPE_CHECKING:
    import pyarrow as pa

MICRO = 1_000_000
_FILLS = ("at", "tx_key", "is_sale", "role", "shares", "cash", "fee", "volume")
_FACTS = ("market", "outcome", "resolved_at", "payout_e6", "ends", "life", "closes_at")
_SUMS = ("shares", "cash", "fee", "volume")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is told of trades in each of some tokens: the columns of ``trade_facts.sql``.

    Attributes:
        tokens: n × 32 bytes.
        category: names.
        kind: names.
        numbers: name → one number per token; 0 where there is none.
    """

    tokens: Bytes
    category: pa.Array
    kind: pa.Array
    numbers: dict[str, Ints]


@dataclass(frozen=True, slots=True)
class Fills:
    """Fills of n (wallet, token) pairs, those of a pair together.

    Attributes:
        wallets: n × 20 bytes.
        tokens: n × 32 bytes.
        pair: per fill the place of its pair.
        columns: the other columns of ``priced_trades.sql``, per fill.
    """

    wallets: Bytes
    tokens: Bytes
    pair: Ints
    columns: dict[str, Ints]


def load_facts(run: Build) -> Facts:
    """The facts of the tokens in ``scored_tokens``."""
    import pyarrow as pa

    batches = list(run.query_columns(run.sql("trade_facts", "1")))
    if not batches:
        none = np.zeros(0, dtype=np.int64)
        no_text = pa.array([], type=pa.binary())
        return Facts(np.zeros((0, 32), np.uint8), no_text, no_text, dict.fromkeys(_FACTS, none))
    table = pa.Table.from_batches(batches).combine_chunks()
    known = {name: table.column(name).combine_chunks().fill_null(0).to_numpy().astype(np.int64) for name in _FACTS}
    category, kind = (table.column(name).combine_chunks() for name in ("category", "kind"))
    return Facts(binary_cells(table.column("token").combine_chunks()), category, kind, known)


def pair_blocks(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[Fills]:
    """Fills in blocks of about so many, no pair in two of them.

    Args:
        batches: of ``priced_trades.sql``, in its order.
        rows: of a block.
    """
    import pyarrow as pa

    waiting: list[pa.RecordBatch] = []
    enough = rows
    for batch in batches:
        waiting.append(batch)
        if sum(one.num_rows for one in waiting) >= enough:
            table = pa.Table.from_batches(waiting).combine_chunks()
            is_first = _is_first(table)
            # The last pair may go on in the next batch.
            end = int(np.flatnonzero(is_first)[-1])
            waiting = table.slice(end).to_batches()
            enough = rows if end else 2 * len(table)
            if end:
                yield _fills(table.slice(0, end), is_first[:end])
    if waiting:
        table = pa.Table.from_batches(waiting).combine_chunks()
        yield _fills(table, _is_first(table))


def _is_first(table: pa.Table) -> NDArray[np.bool_]:
    """Which fills are the first of their pair."""
    wallets, tokens = (binary_cells(table.column(name).combine_chunks()) for name in ("wallet", "token"))
    return np.append(True, differs(wallets, np.uint32) | differs(tokens, np.uint64))


def _fills(table: pa.Table, is_first: NDArray[np.bool_]) -> Fills:
    wallets, tokens = (binary_cells(table.column(name).combine_chunks())[is_first] for name in ("wallet", "token"))
    columns = {name: table.column(name).to_numpy() for name in _FILLS}
    signed = {
        name: values.view(np.int64) if name == "tx_key" else values.astype(np.int64) for name, values in columns.items()
    }
    return Fills(wallets, tokens, np.cumsum(is_first) - 1, signed)


def trades_of(fills: Fills, facts: Facts) -> dict[str, Any]:
    """The trades of some fills: columns of ``priced_trades`` up to ``closes_at``, and ``market``, in its order.

    Args:
        fills: of whole pairs.
        facts: of their tokens; fills of others are left out.
    """
    place = places_of(fills.tokens, facts.tokens)[fills.pair]
    columns = _joined(fills.pair, fills.columns) | {"place": place}
    is_trade = (columns["fills"] > 0) & (place >= 0) & (columns["shares"] > 0)
    is_trade &= (columns["is_sale"] > 0) | (columns["cash"] > 0)
    kept = np.flatnonzero(is_trade)
    kept = kept[_order(fills.pair[kept], columns["at"][kept], columns["tx_key"][kept].view(np.uint64))]
    trades = {name: values[kept] for name, values in columns.items()}
    of_token = {name: values[trades["place"]] for name, values in facts.numbers.items()}
    life, resolved = of_token["life"], of_token["resolved_at"]
    left = np.minimum(np.maximum(of_token["ends"] - trades["at"], 0), life)
    pair = fills.pair[kept]
    return {
        "wallet": binary(fills.wallets[pair]),
        "token": binary(fills.tokens[pair]),
        "at": numbers(trades["at"], "uint32"),
        "tx_key": numbers(trades["tx_key"], "uint64"),
        "is_sale": numbers(trades["is_sale"], "bool"),
        "role": numbers(trades["role"], "int8"),
        "category": _named(facts.category, trades["place"]),
        "kind": _named(facts.kind, trades["place"]),
        "market": numbers(of_token["market"]),
        "outcome": numbers(of_token["outcome"], "uint8"),
        "fills": numbers(trades["fills"], "uint32"),
        **{name: numbers(trades[name]) for name in _SUMS},
        "earliness_e6": numbers(MICRO * left // np.maximum(life, 1), unknown=life == 0),
        "resolved_at": numbers(resolved, "uint32"),
        "payout_e6": numbers(of_token["payout_e6"], unknown=resolved == 0),
        "closes_at": numbers(of_token["closes_at"], "uint32"),
    }


def _joined(pair: Ints, columns: dict[str, Ints]) -> dict[str, Ints]:
    """Columns in which the first fill of each transaction of a pair stands for all of them.

    ``fills`` counts them; it is 0 for the others, and for those of self trades. Shares and cash lose their sign.
    """
    found = {name: values.copy() for name, values in columns.items()} | {"fills": np.ones_like(pair)}
    # Nearly all transactions have one fill; only those that may have more are sorted in full.
    key = columns["tx_key"] ^ (pair * np.int64(0x1E3779B97F4A7C15))
    by_key = np.argsort(key, kind="stable")
    is_same = np.append(key[by_key[1:]] == key[by_key[:-1]], False)
    several = by_key[is_same | np.append(False, is_same[:-1])[: len(key)]]
    several = several[np.lexsort((several, columns["tx_key"][several], pair[several]))]
    if len(several):
        tx, owner = columns["tx_key"][several], pair[several]
        starts = np.flatnonzero(np.append(True, (tx[1:] != tx[:-1]) | (owner[1:] != owner[:-1])))
        first = several[starts]
        for name in _SUMS:
            found[name][first] = np.add.reduceat(columns[name][several], starts)
        found["at"][first] = np.minimum.reduceat(columns["at"][several], starts)
        counts = np.diff(np.append(starts, len(several)))
        role, side = columns["role"][several], columns["is_sale"][several]
        one_role = np.minimum.reduceat(role, starts) == np.maximum.reduceat(role, starts)
        one_side = np.minimum.reduceat(side, starts) == np.maximum.reduceat(side, starts)
        found["role"][first] = np.where(one_role, role[starts], 0)
        found["fills"][several] = 0
        found["fills"][first] = np.where(one_side, counts, 0)
    return found | {name: np.abs(found[name]) for name in ("shares", "cash")}


def _order(pair: Ints, at: Ints, tx_key: NDArray[np.uint64]) -> Ints:
    """The order by pair, time and transaction of entries that nearly have it."""
    order = np.arange(len(pair))
    same = pair[1:] == pair[:-1]
    falls = same & ((at[1:] < at[:-1]) | ((at[1:] == at[:-1]) & (tx_key[1:] < tx_key[:-1])))
    wrong = np.flatnonzero(np.isin(pair, pair[1:][falls]))
    order[wrong] = wrong[np.lexsort((tx_key[wrong], at[wrong], pair[wrong]))]
    return order


def _named(names: pa.Array, places: Ints) -> pa.Array:
    """The names of tokens, each name stored once."""
    import pyarrow as pa

    known = names.dictionary_encode()
    return pa.DictionaryArray.from_arrays(known.indices.take(pa.array(places)), known.dictionary)
