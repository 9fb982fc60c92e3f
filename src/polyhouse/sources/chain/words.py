"""ABI words to typed columns, for all logs of one event at once."""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from polyhouse.domain.log_columns import Bytes, Column, Ints, Ragged
from polyhouse.sources.chain.events import Event, Field
from polyhouse.sources.chain.raw import fixed_bytes

_WORD = 32
_HEX_WORD = 2 * _WORD
_ADDRESS_AT = 12
Mask = npt.NDArray[np.bool_]


class EventReader:
    """Reads the fields of many logs of one event.

    Args:
        event: the layout.
        topics: all topics of each log, topic0 included.
        data: hex data of each log.

    Attributes:
        fields: field name → column, rows of rejected logs included (their values mean nothing).
        reasons: row → why it is rejected; the first thing found counts.

    Raises:
        ValueError, TypeError: a text that is no proper hex; the caller sifts the logs and comes again.
    """

    def __init__(self, event: Event, topics: Sequence[Sequence[str]], data: Sequence[str]) -> None:
        self._count = len(data)
        self.reasons: dict[int, str] = {}
        self.fields: dict[str, Column] = {}
        wanted = 1 + len(event.indexed)
        counts = np.fromiter(map(len, topics), np.int64, self._count)
        if (counts != wanted).any():
            self._fail("topic_count", counts != wanted)
            filler = ("0x" + "00" * _WORD,) * wanted
            topics = [t if len(t) == wanted else filler for t in topics]
        if event.indexed:
            words = fixed_bytes(list(chain.from_iterable(topics)), _WORD).reshape(self._count, wanted, _WORD)
            for place, field in enumerate(event.indexed, 1):
                self._static(field, words[:, place])
        lengths = np.fromiter(map(len, data), np.int64, self._count) - 2
        if event.is_static:
            self._read_static(event, data, lengths)
        else:
            self._read_dynamic(event, data, lengths)
        self._check(event)

    def _fail(self, reason: str, rows: Mask) -> None:
        for row in np.flatnonzero(rows).tolist():
            self.reasons.setdefault(row, reason)

    def _read_static(self, event: Event, data: Sequence[str], lengths: Ints) -> None:
        wanted = len(event.data) * _HEX_WORD
        wrong = lengths != wanted
        if wrong.any():
            self._fail("data_length", wrong)
            filler = "0x" + "0" * wanted
            data = [filler if bad else text for text, bad in zip(data, wrong.tolist(), strict=True)]
        words = fixed_bytes(data, len(event.data) * _WORD).reshape(self._count, len(event.data), _WORD)
        for place, field in enumerate(event.data):
            self._static(field, words[:, place])

    def _read_dynamic(self, event: Event, data: Sequence[str], lengths: Ints) -> None:
        heads = len(event.data)
        wrong = (lengths % _HEX_WORD != 0) | (lengths < heads * _HEX_WORD)
        if wrong.any():
            self._fail("data_length", wrong)
            filler = "0x" + "0" * (heads * _HEX_WORD)
            data = [filler if bad else text for text, bad in zip(data, wrong.tolist(), strict=True)]
            lengths = np.where(wrong, heads * _HEX_WORD, lengths)
        if {text[:2] for text in data} - {"0x"}:
            raise ValueError("data without 0x")
        flat = np.frombuffer(unhexlify("".join([text[2:] for text in data])), np.uint8).reshape(-1, _WORD)
        starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths // _HEX_WORD)))
        for place, field in enumerate(event.data):
            head = flat[starts[:-1] + place]
            if field.type in ("uints", "id32s"):
                self._array(field, flat, starts, head, heads)
            else:
                self._static(field, head)

    def _static(self, field: Field, words: Bytes) -> None:
        if field.type == "id32":
            self.fields[field.name] = words
        elif field.type == "address":
            self.fields[field.name] = words[:, _ADDRESS_AT:]
            padding = np.ascontiguousarray(words).view(np.uint32)
            self._fail("dirty_address", (padding[:, 0] | padding[:, 1] | padding[:, 2]) != 0)
        elif field.type == "uint":
            self.fields[field.name], large = small_ints(words)
            self._fail("too_large", large)

    def _array(self, field: Field, flat: Bytes, starts: Ints, head: Bytes, heads: int) -> None:
        """A dynamic array: its head word is the offset of its length, its items follow the length."""
        ends = starts[1:]
        offset, large = small_ints(head)
        at = starts[:-1] + offset // _WORD
        bad = large | (offset % _WORD != 0) | (offset < heads * _WORD) | (offset >= (ends - starts[:-1]) * _WORD)
        count, large = small_ints(flat[np.where(bad, 0, at)])
        room = ends - at - 1
        bad |= large | (count > room)
        self._fail("bad_array", bad)
        count = np.where(bad, 0, count)
        first = np.concatenate((np.zeros(1, np.int64), np.cumsum(count)))
        rows = np.repeat(np.arange(self._count), count)
        items = flat[at[rows] + 1 + np.arange(first[-1]) - first[rows]]
        if field.type == "id32s":
            self.fields[field.name] = Ragged(items, first)
            return
        values, large = small_ints(items)
        self.fields[field.name] = Ragged(values, first)
        if large.any():
            self._fail("too_large", np.bincount(rows[large], minlength=self._count) > 0)

    def _check(self, event: Event) -> None:
        """What the types cannot say: arrays that belong together, and pools of two outcomes only."""
        if event.kind == "transfer_batch":
            tokens, amounts = self.fields["tokens"], self.fields["amounts"]
            assert isinstance(tokens, Ragged)
            assert isinstance(amounts, Ragged)
            self._fail("length_mismatch", np.diff(tokens.starts) != np.diff(amounts.starts))
        elif event.kind.startswith("fpmm_funding"):
            amounts = self.fields["amounts"]
            assert isinstance(amounts, Ragged)
            self._fail("not_binary", np.diff(amounts.starts) != 2)


def small_ints(words: npt.NDArray[Any]) -> tuple[Ints, Mask]:
    """Words as ``int64``, and which of them do not fit 63 bits (their value means nothing)."""
    limbs = np.ascontiguousarray(words).view(np.uint64)
    value = limbs[:, 3].view(">u8").astype(np.int64)
    return value, ((limbs[:, 0] | limbs[:, 1] | limbs[:, 2]) != 0) | (value < 0)
