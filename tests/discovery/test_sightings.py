"""Counting who was seen where: exact, whatever the order, in little memory."""

from __future__ import annotations

import random
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from polyhouse.ports import Page, Reject
from polyhouse.state import open_state
from polyhouse.sync.discovery_hook import Discovery, Sightings
from polyhouse.sync.manifest import Delivery

ADDRESSES = [n.to_bytes(20, "big") for n in range(1, 40)]
BATCHES = st.lists(st.tuples(st.lists(st.sampled_from(ADDRESSES), max_size=12), st.sampled_from([1, 2, 4, 128 | 1])))


@settings(max_examples=60, deadline=None)
@given(BATCHES, st.lists(st.integers(0, 4)))
def test_counts_are_those_of_sets(batches, asked):
    sightings, seen = Sightings(), {}
    for addresses, mask in batches:
        sightings.note(addresses, mask)
        for address in addresses:
            seen[address] = seen.get(address, 0) | mask
        if asked and asked.pop() == 0:
            sightings.count(0)
    for mask in (0, 1, 2, 4, 128, 128 | 1, 3):
        assert sightings.count(mask) == sum(value & mask == mask for value in seen.values())


def test_many_wallets_take_little_memory():
    rng = random.Random(1)
    people = rng.randbytes(20 * 200_000)
    sightings = Sightings()
    tracemalloc.start()
    for mask in (1, 2):
        for start in range(0, len(people), 40_000):
            chunk = people[start : start + 40_000]
            sightings.note((chunk[n : n + 20] for n in range(0, len(chunk), 20)), mask)
    assert sightings.count(0) == sightings.count(3) == 200_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def page(table: str, wallets: list[bytes], stream: str = "data.holders") -> Delivery:
    return Delivery(stream, "p", {}, Page({table: {"wallet": wallets}}, {}, is_last=True, fetched=len(wallets)), 1)


def test_pages_register_their_wallets_with_where_they_were_seen(tmp_path):
    with open_state(f"sqlite:///{tmp_path}/state.db") as state:
        hook = Discovery(state, ["data.trades"])
        one, two, three, four = ADDRESSES[:4]
        hook([page("reported_holders", [one, two, one]), page("observations", [two, three], "data.trades")])
        hook([page("reported_standings", [one], "data.leaderboard"), page("observations", [four], "data.activity")])
        hook([page("reported_positions", [three], "data.market-positions"), page("reported_values", [four])])
        provenance = {address: state.wallet(address).provenance for address in state.wallet_addresses()}
        assert {address: set(words) for address, words in provenance.items()} == {
            one: {"holders", "leaderboard"}, two: {"holders", "trades"}, three: {"trades", "holders"},
        }  # fmt: skip
        assert hook.found == 3
        assert hook.touched == {two, three, four}
        assert hook.counts("holders") == {"seen": 3, "new": 2, "known": 1, "rejected": 0}
        assert hook.counts("trades") == {"seen": 2, "new": 1, "known": 1, "rejected": 0}
        assert hook.totals() == {"seen": 3, "new": 3, "known": 0}


def test_rejected_rows_are_counted_once_however_often_their_page_is_tried(tmp_path):
    with open_state(f"sqlite:///{tmp_path}/state.db") as state:
        hook = Discovery(state, ["data.trades"])
        rejected = (Reject("shape", "row 1", "{}"), Reject("shape", "row 2", "{}"))
        pages = [
            Delivery("data.trades", "p", {}, Page({}, {}, is_last=False, fetched=2, rejected=rejected), number)
            for number in (1, 2)
        ]
        hook(pages)  # as a batch that the warehouse then refuses
        for one in pages:
            hook([one])
        assert hook.counts("trades")["rejected"] == 4
