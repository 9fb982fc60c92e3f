"""``wallet_documents``: what the document of a wallet needs of the models, as builds leave it for readers.

A document is made of a dozen tables, and to plan a read costs the engine a millisecond or more, however little it
reads. So a build writes the answers down: one row for each wallet and part. Large parts are rows of bytes that are
packed from the columns which a step has in memory anyway; ``FACTS`` holds the small ones as lines of JSON and is
written last: a wallet that has it has all. The same questions, asked of the tables themselves, answer where it is not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from polyhouse.models.arrow_columns import names
from polyhouse.models.flags import starts_of
from polyhouse.models.packed_metrics import packed, part_names, words_of_rows
from polyhouse.models.questions import OF_WALLET, Layout, Part, Question, Row, named
from polyhouse.tables import ONE_ROW_KINDS

if TYPE_CHECKING:
    import pyarrow as pa

    from polyhouse.models.build import Build
    from polyhouse.models.metric_rows import MetricRows

TABLE = "wallet_documents"
_SUMS = ("realized", "unrealized_marked", "fees", "income", "untracked_cash", "redeemed_cash", "volume", "gains",
         "losses_abs", "bought_cost")  # fmt: skip
_COUNTS = ("unmarked", "markets", "wins", "losses", "flats", "open_units")

_ONE_ROW = f"kind IN {ONE_ROW_KINDS}"

PACKED: Mapping[str, Layout] = {
    "positions": Layout(
        {
            "token": "id", "condition": "name", "outcome": "u1",
            **dict.fromkeys(("shares", "external_shares", "cost", "realized"), "i8"), "unrealized": "i8?",
            "status": ("", "OPEN", "SETTLED", "CLOSED"),
        },
        f"FROM positions FINAL WHERE {OF_WALLET}",
    ),
    "units": Layout(
        {
            "unit": "name", "category": "word", "realized": "i8", "unrealized": "i8?",
            "result": ("", "WIN", "LOSS", "FLAT"), "is_open": "bool", "closed_ts": "u4",
        },
        f"FROM units FINAL WHERE {OF_WALLET}",
    ),
    "joint units": Layout(
        {"unit": "name", "condition": "name"},
        f"FROM units FINAL ARRAY JOIN conditions AS condition WHERE {OF_WALLET} AND conditions != [unit]",
    ),
    "totals": Layout(
        {
            "category": "word", "window": "word", "unrealized": "i8?", **dict.fromkeys(_SUMS, "i8"),
            "trades": "u8", **dict.fromkeys((*_COUNTS, "first_trade_ts", "last_trade_ts"), "u4"),
        },
        f"FROM wallet_totals FINAL WHERE {OF_WALLET}",
    ),
}  # fmt: skip
"""Parts of their own. Units are conditions of their own; those that are not have their conditions among the joint."""

SMALL: Mapping[str, Question] = {
    "wallet_coverage": Question(
        named("provisional", coverage="toString(coverage)"),
        f"FROM wallet_coverage FINAL WHERE {OF_WALLET}",
    ),
    "scores": Question(
        named(
            "volume", "trades", "wins", "decided", "bought_cost", "bought_positions", "entries", "entry_positions",
            "stake", "early_stake", "early_weight", "reference_stake", "against_stake", "timing_stake", "timing_gain",
            "timing_best", "whale_tenths", "insider_tenths", "is_whale", "is_suspected",
            insider_status="toString(insider_status)", scored_at="toUnixTimestamp(as_of)",
        ),
        f"FROM wallet_scores_v1 FINAL WHERE {OF_WALLET}",
    ),
    "intervals": Question(
        named("category", "window", "bets", "omega_low", "omega_high", "roi_low", "roi_high"),
        f"FROM wallet_intervals FINAL WHERE {OF_WALLET}",
    ),
    "flags": Question(
        named("flag", "status", "meets", "value", "threshold", "p_value", "sample", "minimum_sample", "inputs"),
        f"FROM wallet_flags FINAL WHERE {OF_WALLET}",
    ),
    # Rows of sources. Fills and transfers are one row of the ledger each; of the other kinds one may have changed the
    # shares of several tokens. As hashes they are counted at half the cost; they have 128 bits.
    "used_rows": Question(
        named(
            source="toString(source)",
            used=f"countIf({_ONE_ROW})"
            f" + uniqExactIf(if({_ONE_ROW}, toFixedString('', 16), sipHash128(ts, tx, row_key)), NOT {_ONE_ROW})",
        ),
        f"FROM ledger FINAL WHERE {OF_WALLET} GROUP BY wallet, source",
    ),
}  # fmt: skip
"""Lines of ``FACTS``."""

_MEANING = repr([(name, part.columns) for name, part in SMALL.items()] + [(n, p.fields) for n, p in PACKED.items()])
FACTS = f"facts {hashlib.sha256(_MEANING.encode()).hexdigest()[:12]}"
"""Its name holds what all parts mean: what another version of them left is not there."""

ASKED: Mapping[str, Part] = {**PACKED, **SMALL}
"""All parts but the metrics, whose tables have a column for each."""

_LINES = " UNION ALL ".join(
    f"SELECT wallet, concat('{name} ', {question.text}) AS line {question.rest}" for name, question in SMALL.items()
)
_FACTS = (
    f"SELECT wallet, '{FACTS}' AS part, arrayStringConcat(arraySort(groupArray(line)), '\\n') AS part_bytes"
    f" FROM ({_LINES})"
    # A NaN would become a null that nobody notices; as a word it is refused where numbers are read.
    " GROUP BY wallet SETTINGS output_format_json_quote_denormals = 1"
)


def write_packed(run: Build, columns: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the parts of ``PACKED`` of a slice.

    Args:
        run: the build.
        columns: what is written into ``positions``, ``units`` and ``wallet_totals``; rows of a wallet stand together.
    """
    units = columns["units"]
    of = {
        "positions": columns["positions"], "units": units, "joint units": _joint_units(units),
        "totals": columns["wallet_totals"],
    }  # fmt: skip
    _write(run, {name: (of[name]["wallet"], layout.records(of[name])) for name, layout in PACKED.items()})


def _joint_units(units: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of the part of joint units, from those of ``units``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    conditions = units["conditions"]
    counts = np.diff(conditions.offsets.to_numpy())
    owner = np.repeat(np.arange(len(counts)), counts)
    own = pc.equal(conditions.values, units["unit"].take(pa.array(owner))).to_numpy(zero_copy_only=False)
    chosen = np.flatnonzero(~own | (counts != 1)[owner])
    owners = pa.array(owner[chosen])
    return {
        "wallet": units["wallet"].take(owners), "unit": units["unit"].take(owners),
        "condition": conditions.values.take(pa.array(chosen)),
    }  # fmt: skip


def write_metrics(run: Build, rows: MetricRows) -> None:
    """Write the metrics of a slice."""
    records, words = packed(rows)
    numbers_part, words_part = part_names()
    starts = starts_of(rows.keys["wallet"])
    of_words = [words_of_rows(words[start:end]) for start, end in pairwise(starts.tolist())]
    wallets = rows.keys["wallet"]
    _write(run, {numbers_part: (wallets, records), words_part: (wallets, of_words)})


def write_facts(run: Build) -> None:
    """Write what is left of the chosen wallets, when all tables are complete; what is gone of them is buried."""
    for wallets in run.slices():
        run.insert_rows(run.named(_FACTS.replace(OF_WALLET, wallets)), run.place_of(TABLE))
        run.bury(TABLE, wallets)
    run.bury_gone()


def without(run: Build, held: frozenset[str]) -> frozenset[str]:
    """The tables that must not be published, without that of documents, unless nothing of what it is made of is: if
    only a part of that is published there are no documents, and readers ask the tables.
    """
    from polyhouse.models.invariants import MADE_OF

    if TABLE not in held or held.issuperset(MADE_OF[TABLE]):
        return held
    run.truncate(run.place_of(TABLE))
    return held - {TABLE}


def unpacked(contents: Mapping[str, bytes]) -> dict[str, list[Row]] | None:
    """The rows of every part of ``ASKED``, from a wallet's parts by their names; None if it is not complete."""
    if FACTS not in contents:
        return None
    lines: dict[str, list[bytes]] = {name: [] for name in SMALL}
    for line in contents[FACTS].split(b"\n"):
        name, text = line.split(b" ", 1)
        lines[name.decode()].append(text)
    found = {name: part.rows([contents[name]] if name in contents else []) for name, part in PACKED.items()}
    return found | {name: question.rows(lines[name]) for name, question in SMALL.items()}


def _write(run: Build, parts: Mapping[str, tuple[Any, NDArray[np.void] | Sequence[bytes]]]) -> None:
    """Write parts: the wallet of each row and the rows, or a content for each wallet."""
    import pyarrow as pa

    wallets, contents, counts = [], [], []
    for of, found in parts.values():
        starts = starts_of(of)
        wallets.append(of.take(pa.array(starts[:-1])) if len(of) else of)
        contents.append(_binaries(found, starts) if isinstance(found, np.ndarray) else pa.array(found, pa.binary()))
        counts.append(len(contents[-1]))
    rows = sum(counts)
    if rows:
        run.write(TABLE, pa.table({
            "wallet": pa.concat_arrays(wallets),
            "part": names(np.repeat(np.arange(len(parts)), counts), pa.array(parts)),
            "part_bytes": pa.concat_arrays(contents),
            "version": pa.array(np.full(rows, run.version, np.uint64)),
            "is_deleted": pa.array(np.zeros(rows, np.uint8)),
        }))  # fmt: skip


def _binaries(records: NDArray[np.void], starts: NDArray[np.int64]) -> pa.Array:
    """The bytes of the rows of each wallet."""
    import pyarrow as pa

    if not len(records):
        return pa.array([], pa.binary())
    offsets = (starts * records.itemsize).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(records).view(np.uint8))]
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)
