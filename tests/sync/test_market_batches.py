"""Batch keys stay the same while markets come and go around them."""

from __future__ import annotations

import random
from itertools import pairwise

from polyhouse.sync.batches import BATCH, Batcher, MarketBatch, batch_of
from polyhouse.sync.catalog import MarketRef, slices
from polyhouse.sync.trades import is_settled


def markets(*ids: int) -> list[MarketRef]:
    return [MarketRef(number, number.to_bytes(32, "big")) for number in ids]


def cut(known: list[str], refs: list[MarketRef], chunk: int = 7) -> list[MarketBatch]:
    return list(Batcher(known).batches([refs[at : at + chunk] for at in range(0, len(refs), chunk)]))


def test_first_pass_fills_batches_in_order() -> None:
    batches = cut([], markets(*range(1, 46)))
    assert [batch.key for batch in batches] == ["1..20#20", "21..40#20", "41..45#5"]
    assert batches[0].conditions[0] == "0x" + (1).to_bytes(32, "big").hex()


def test_new_markets_never_change_the_batches_that_were_walked() -> None:
    rng = random.Random(4)
    known_ids: set[int] = set()
    keys: list[str] = []
    for _ in range(12):
        known_ids |= {rng.randrange(1, 10_000) for _ in range(rng.randrange(1, 60))}
        refs = markets(*sorted(known_ids))
        batches = cut(keys, refs, chunk=rng.choice([1, 7, 500]))
        assert [ref for batch in batches for ref in batch.markets] == refs, "every market exactly once, in order"
        assert all(len(batch.markets) <= BATCH for batch in batches)
        assert len({batch.key for batch in batches}) == len(batches)
        assert cut([b.key for b in batches], refs) == batches, "a second look changes nothing"
        keys = [batch.key for batch in batches]


def test_a_walked_batch_is_kept_when_markets_appear_before_and_behind_it() -> None:
    batches = cut(["10..12#3"], markets(1, 2, 10, 11, 12, 13))
    assert [batch.key for batch in batches] == ["1..2#2", "10..12#3", "13..13#1"]


def test_a_market_inside_a_walked_batch_makes_new_batches() -> None:
    assert "10..12#2" not in [batch.key for batch in cut(["10..12#2"], markets(10, 11, 12))]


def test_markets_without_a_number_are_named_by_condition() -> None:
    refs = [MarketRef(0, bytes([7]) * 31), *markets(5)]
    assert batch_of(refs).key == f"0x{'07' * 31}..5#2"


def test_a_batch_is_settled_only_when_all_are_resolved_and_it_was_read_a_day_later() -> None:
    done = MarketBatch("k", (MarketRef(1, b"a" * 32, 1_000), MarketRef(2, b"b" * 32, 5_000)))
    assert is_settled(done, 5_000 + 86_401)
    assert not is_settled(done, 5_000 + 86_400)
    assert not is_settled(done, None)
    half = MarketBatch("k", (MarketRef(1, b"a" * 32, 1_000), MarketRef(2, b"b" * 32)))
    assert not is_settled(half, 10**9)


def test_slices_cover_every_id_once() -> None:
    for rows in (0, 1, 10**7, 10**9, 10**12):
        found = slices(rows, 20)
        assert found[0][0] == bytes(20)
        assert found[-1][1] == b"\xff" * 20
        for (_, high), (low, _) in pairwise(found):
            assert int.from_bytes(low, "big") == int.from_bytes(high, "big") + 1
