"""The wallets of a simulated universe: behaviours, and a power law of activity."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from polyhouse.domain import contracts, ids
from polyhouse.sim.topics import TOPICS


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How one kind of wallet acts. Percentages are chances in hundred.

    Attributes:
        name: the kind.
        share: how many of 100 wallets are of this kind.
        foresight: chance to choose the outcome that is going to win when buying.
        sells: chance to sell instead of buying when it holds something.
        scale: order size in hundredths of the usual one.
        loyal: keeps to one topic.
        underdog: prefers the cheaper outcome.
        quick: wants to sell again right after buying.
        splits: chance to split or merge instead of trading.
        makes: how often it is the maker, as a weight.
        redeems: chance to redeem a winning position; ``patience`` is the mean delay in hours.
        fading: active only at the beginning.
    """

    name: str
    share: int
    foresight: int = 50
    sells: int = 20
    scale: int = 100
    loyal: bool = False
    underdog: bool = False
    quick: bool = False
    splits: int = 2
    makes: int = 10
    redeems: int = 85
    patience: int = 30
    fading: bool = False


BEHAVIOURS: tuple[Behaviour, ...] = (
    Behaviour("informed", 6, foresight=86, sells=8, scale=180, makes=1),
    Behaviour("specialist", 12, foresight=76, sells=20, loyal=True, makes=1),
    Behaviour("gambler", 26, foresight=44, sells=15, scale=60, underdog=True),
    Behaviour("market_maker", 6, sells=50, scale=150, splits=12, makes=400),
    Behaviour("holder", 16, foresight=52, sells=0, makes=4),
    Behaviour("scalper", 8, sells=75, quick=True, splits=1),
    Behaviour("arbitrageur", 5, sells=30, splits=55),
    Behaviour("late_redeemer", 9, foresight=51, redeems=95, patience=1_600),
    Behaviour("whale", 3, foresight=62, scale=2_500, redeems=95, makes=1),
    Behaviour("dormant", 9, redeems=30, fading=True),
)

INSIDER = Behaviour("insider", 0, sells=0, splits=0)
RICH = Behaviour("planted_whale", 0, sells=0, splits=0)
"""Planted kinds (``polyhouse.sim.plants``): no part of the crowd."""


class Pool:
    """Wallets drawn by weight."""

    __slots__ = ("_cumulative", "_members", "_total")

    def __init__(self, members: list[int], weights: list[int]) -> None:
        self._members = members
        self._cumulative = list(accumulate(weights))
        self._total = self._cumulative[-1]

    def pick(self, roll: float) -> int:
        """The member at ``roll`` in [0, 1)."""
        return self._members[bisect(self._cumulative, int(roll * self._total))]


@dataclass(frozen=True, slots=True)
class People:
    """All wallets.

    Attributes:
        addresses: lowercase ``0x`` addresses; the other lists have the same order.
        kinds: the behaviour of each.
        homes: topic of loyal wallets, "" for the others.
        takers: topic → who takes there; makers: topic → who makes there.
        converters: wallets that convert neg-risk positions; movers: wallets that send tokens to each other.
    """

    addresses: list[str]
    kinds: list[Behaviour]
    homes: list[str]
    takers: dict[str, Pool]
    makers: dict[str, Pool]
    converters: frozenset[int]
    movers: tuple[int, ...]


def build_people(
    rng: Random, count: int, *, planted: Sequence[Behaviour] = (), crowd: Sequence[Behaviour] = BEHAVIOURS
) -> People:
    """Create ``count`` wallets; wallet k is about count/(k+1) times as active as the last one.

    Args:
        planted: kinds of the last wallets: they only do what ``polyhouse.sim.plants`` or ``actors`` has them do.
        crowd: kinds of the others.
    """
    addresses: list[str] = []
    known = set(contracts.INFRA)
    while len(addresses) < count:
        raw = rng.getrandbits(160).to_bytes(20, "big")
        if raw not in known:
            known.add(raw)
            addresses.append(ids.format_address(raw))
    kinds = _kinds(rng, count, crowd)
    topics = [topic.name for topic in TOPICS for _ in range(topic.weight)]
    homes = [topics[rng.randrange(len(topics))] if kind.loyal else "" for kind in kinds]
    weights = [1 + 10_000_000 // (10 + rank) for rank in range(count)]
    for place, kind in enumerate(planted, count - len(planted)):
        kinds[place], homes[place], weights[place] = kind, "", 0
    everyone = range(count)
    takers: dict[str, Pool] = {}
    makers: dict[str, Pool] = {}
    for topic in dict.fromkeys(topics):
        here = [w for w in everyone if homes[w] in ("", topic)]
        takers[topic] = Pool(here, [weights[w] for w in here])
        makers[topic] = Pool(here, [weights[w] * kinds[w].makes for w in here])
    few = min(count, max(3, count // 40))
    converters = frozenset(w for w in everyone if kinds[w].name in ("arbitrageur", "whale") and w % 2 == 0)
    return People(
        addresses, kinds, homes, takers, makers, converters, tuple(sorted(rng.sample(range(max(few, count // 8)), few)))
    )


def _kinds(rng: Random, count: int, crowd: Sequence[Behaviour]) -> list[Behaviour]:
    """Every kind is among the most active wallets; the rest follow the shares."""
    deck = [kind for kind in crowd for _ in range(kind.share)]
    first = list(crowd)
    rng.shuffle(first)
    return (first + [deck[rng.randrange(len(deck))] for _ in range(count)])[:count]
