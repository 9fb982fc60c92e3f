"""Where wallets stand among others, and what is kept of boards when not everything fits."""

from __future__ import annotations

import random

import numpy as np
import pytest

from polyhouse.reads.board_columns import WALLET_TYPE, newest_places, places_among
from polyhouse.reads.board_shelf import Shelf

ALIKE = b"\x10" * 8


def wallets(*addresses: bytes) -> np.ndarray:
    return np.array(addresses, WALLET_TYPE)


def some_addresses(dice: random.Random, count: int, *, alike: bool) -> list[bytes]:
    """Different addresses; if ``alike``, half of them begin with the same eight bytes. Some end in zeros."""
    found = {
        (ALIKE if alike and dice.random() < 0.5 else dice.randbytes(8))
        + dice.randbytes(2)
        + bytes(dice.choice([0, 10]))
        for _ in range(count)
    }
    return [one.ljust(20, b"\x07") if len(one) < 20 else one for one in found]


@pytest.mark.parametrize("alike", [False, True])
def test_wallets_are_found_among_others(alike: bool) -> None:
    dice = random.Random(3)
    known = sorted(some_addresses(dice, 300, alike=alike))
    asked = dice.sample(known, 100) + some_addresses(dice, 100, alike=True) + [b"\xff" * 20, b"\0" * 20]
    places, found = places_among(wallets(*known), wallets(*asked))
    assert found.tolist() == [one in known for one in asked]
    assert [known[place] for place, is_there in zip(places, found, strict=True) if is_there] == [
        one for one in asked if one in known
    ]
    assert not places_among(wallets(), wallets(*asked))[1].any()


@pytest.mark.parametrize("alike", [False, True])
def test_the_newest_row_of_each_wallet_is_taken(alike: bool) -> None:
    dice = random.Random(4)
    addresses = some_addresses(dice, 200, alike=alike)
    rows = [
        (wallet, version, dice.random() < 0.2)
        for wallet in addresses
        for version in dice.sample(range(9), dice.choice([1, 1, 1, 3]))
    ]
    dice.shuffle(rows)
    newest = {wallet: gone for wallet, _, gone in sorted(rows)}
    places = newest_places(
        wallets(*(row[0] for row in rows)), np.array([row[1] for row in rows]), np.array([int(row[2]) for row in rows])
    )
    assert [rows[place][0] for place in places] == sorted(wallet for wallet, gone in newest.items() if not gone)
    assert all(
        rows[place][1] == max(version for wallet, version, _ in rows if wallet == rows[place][0]) for place in places
    )


def test_what_was_used_longest_ago_goes_first_and_the_base_of_a_board_last() -> None:
    shelf = Shelf(100)
    shelf.put_base("old", 30, "base of old", instead_of=lambda board: False)
    shelf.put("old", "order", 20, "order of old")
    shelf.put_base("new", 30, "base of new", instead_of=lambda board: False)
    shelf.put("new", "order", 20, "order of new")
    assert shelf.find("old", "order") == "order of old"
    shelf.put("new", "column", 10, "column of new")
    assert shelf.held() == 90, "the order of the new board was used before that of the old one"
    assert (shelf.find("new", "order"), shelf.find("old", "order")) == (None, "order of old")
    shelf.put("old", "large", 90, "large")
    assert shelf.base("new") is None
    assert (shelf.base("old"), shelf.held()) == ("base of old", 30), "what does not fit is not kept, the base is"
    shelf.put("new", "order", 20, "order of new")
    assert shelf.find("new", "order") is None, "nothing is kept of a board whose base was forgotten"
    shelf.put_base("next", 10, "base of next", instead_of=lambda board: board == "old")
    assert (shelf.base("old"), shelf.base("next"), shelf.held()) == (None, "base of next", 10)
    assert shelf.forgotten == 5, "what a new build stands instead of had not to make room"
