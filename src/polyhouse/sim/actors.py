"""A planted cast for universes with fair prices: who is good, who knows, who was lucky, who is a machine, who fakes.

The crowd around them is right as often as the prices say, so every edge that is not theirs is chance. ``CAST`` names
the kinds; ``Universe.behaviours`` tells who is who.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from polyhouse.errors import BadInputError
from polyhouse.sim.catalogue import DAY, HOUR
from polyhouse.sim.fair import FairBoard
from polyhouse.sim.people import BEHAVIOURS, Behaviour, People

CAST: Mapping[str, Behaviour] = {
    name: Behaviour(name, 0, sells=0, splits=0)
    for name in ("skilled_trader", "specialist", "insider", "lucky_gambler", "bot", "wash_trader")
}
"""Planted kinds by name: no part of the crowd. Wash traders come in pairs that belong to one person."""

CROWD: tuple[Behaviour, ...] = (
    Behaviour("noise_trader", 40),
    *(replace(kind, foresight=50) for kind in BEHAVIOURS if kind.name not in ("informed", "specialist")),
)
"""Who trades at fair prices: the usual behaviours without foresight."""

_SHARE = 1_000_000
_SKILL, _HOME_SKILL = 93, 95
"""Chance in hundred to choose the coming winner: of a skilled trader, of a specialist at home."""
_MARKETS, _HOME, _AWAY, _TIPS, _FLUTTERS = 180, 80, 40, 14, 24
_LONGSHOTS, _LONG = 4, 150
"""Longshots of a gambler, one of which wins; and the price up to which an outcome is one, thousandths."""
_ROUNDS, _WASHED = 12, 6
_BOT_INTERVAL, _BOT_TRADES = 1_800, 600


@dataclass(frozen=True, slots=True)
class Act:
    """One purchase at ``ts``.

    Attributes:
        taker: who buys; -1 = anybody from the crowd.
        maker: who serves the order alone; -1 = somebody from the crowd.
        shares: micro-shares.
    """

    ts: int
    board: FairBoard
    taker: int
    outcome: int
    shares: int
    maker: int = -1


@dataclass(frozen=True, slots=True)
class _Stage:
    """What a planted wallet acts on: ``over`` are the markets that are resolved before the curtain."""

    rng: Random
    wallet: int
    boards: Sequence[FairBoard]
    over: Sequence[FairBoard]

    def some(self, count: int, boards: Sequence[FairBoard]) -> list[FairBoard]:
        return self.rng.sample(list(boards), min(count, len(boards)))

    def moment(self, board: FairBoard) -> int:
        """Some time in the first quarter of a market's life, when there is most to know."""
        life = board.close - board.market.start_ts
        return board.market.start_ts + life * (20 + self.rng.randrange(230)) // 1_000

    def buy(self, board: FairBoard, foresight: int, shares: int, ts: int | None = None) -> Act:
        right = self.rng.randrange(100) < foresight
        outcome = board.listing.winner if right else 1 - board.listing.winner
        amount = shares * _SHARE + self.rng.randrange(shares * _SHARE)
        return Act(self.moment(board) if ts is None else ts, board, self.wallet, outcome, amount)


def planted(cast: Mapping[str, int]) -> list[Behaviour]:
    """The kinds of the planted wallets, one each.

    Raises:
        BadInputError: an unknown kind, a negative number, or half a pair of wash traders.
    """
    for name, count in cast.items():
        if name not in CAST or count < 0 or (name == "wash_trader" and count % 2):
            raise BadInputError(
                f"a universe cannot have {count} planted wallets of the kind {name!r}; kinds are {', '.join(CAST)}, "
                "and wash traders come in pairs"
            )
    return [CAST[name] for name, count in cast.items() for _ in range(count)]


def agenda(people: People, boards: Sequence[FairBoard], until: int) -> Iterator[Act]:
    """Everything the planted wallets do, and what the crowd does because of them.

    Args:
        people: all wallets.
        boards: all markets.
        until: what was resolved by then counts as over; they act on such markets only, but for the bot.
    """
    over = [board for board in boards if board.market.resolved_ts is not None and board.market.resolved_ts <= until]
    partner = -1
    for wallet, kind in enumerate(people.kinds):
        if kind.name in CAST and CAST[kind.name] is kind:
            stage = _Stage(Random(f"{kind.name} {people.addresses[wallet]}"), wallet, boards, over)
            if kind.name != "wash_trader":
                yield from _SCRIPTS[kind.name](stage)
            elif partner < 0:
                partner = wallet
            else:
                yield from _wash(stage, partner)
                partner = -1


def _skilled(stage: _Stage) -> Iterator[Act]:
    for board in stage.some(_MARKETS, stage.over):
        yield stage.buy(board, _SKILL, 40)


def _specialist(stage: _Stage) -> Iterator[Act]:
    ((home, _),) = Counter(board.listing.topic for board in stage.over).most_common(1)
    for board in stage.some(_HOME, [board for board in stage.over if board.listing.topic == home]):
        yield stage.buy(board, _HOME_SKILL, 40)
    for board in stage.some(_AWAY, [board for board in stage.over if board.listing.topic != home]):
        yield stage.buy(board, 50, 40)


def _insider(stage: _Stage) -> Iterator[Act]:
    """Buys the coming winner early, below the price of the day before, hours ahead of the news; nothing else."""
    tips = {board.market.event_id: (board, ts) for board in stage.over if (ts := _before_the_news(board))}
    for board, ts in stage.rng.sample(list(tips.values()), min(_TIPS, len(tips))):
        yield Act(ts - DAY - HOUR, board, -1, stage.rng.randrange(2), 30 * _SHARE)
        yield stage.buy(board, 100, 400, ts)
        yield Act(ts + 12 * HOUR, board, -1, stage.rng.randrange(2), 30 * _SHARE)


def _before_the_news(board: FairBoard) -> int:
    """When an insider buys here; 0 = not at all."""
    opened, winner = board.market.start_ts, board.listing.winner
    after = board.price_at(board.news_ts + HOUR, winner)
    for hours in (3, 8, 13, 18):
        ts = board.news_ts - hours * HOUR
        before, then = board.price_at(ts - DAY - HOUR, winner), board.price_at(ts, winner)
        if ts - opened > DAY + 2 * HOUR and then < min(before, 600) and after > then + 100:
            return ts
    return 0


def _gambler(stage: _Stage) -> Iterator[Act]:
    """Small bets at fair odds, and four large longshots of which, by chance, one wins."""
    wins = {board: ts for board in stage.over if (ts := _as_longshot(board, board.listing.winner))}
    losses = {board: ts for board in stage.over if (ts := _as_longshot(board, 1 - board.listing.winner))}
    chosen = [(board, 100, wins[board]) for board in stage.some(1, list(wins))]
    chosen += [(board, 0, losses[board]) for board in stage.some(_LONGSHOTS - 1, list(losses))]
    for board, foresight, ts in chosen:
        yield stage.buy(board, foresight, 2_000, ts)
    taken = {board for board, _, _ in chosen}
    for board in stage.some(_FLUTTERS, [board for board in stage.over if board not in taken]):
        yield stage.buy(board, 50, 10)


def _as_longshot(board: FairBoard, outcome: int) -> int:
    """When an outcome is a longshot here; 0 = never in the first nine tenths of the market's life."""
    opened, life = board.market.start_ts, board.close - board.market.start_ts
    moments = (opened + life * place // 20 for place in range(1, 18))
    return next((ts for ts in moments if 30 <= board.price_at(ts, outcome) <= _LONG), 0)


def _bot(stage: _Stage) -> Iterator[Act]:
    """Serves the crowd every half hour around the clock, on both sides of whatever trades."""
    first = stage.over[len(stage.over) // 2].market.start_ts
    for ts in range(first, first + _BOT_TRADES * _BOT_INTERVAL, _BOT_INTERVAL):
        # two hours at least: a fill in the last seconds may come too late for the match
        open_now = [board for board in stage.boards if board.market.start_ts <= ts < board.close - 2 * HOUR]
        if open_now:
            board = open_now[stage.rng.randrange(len(open_now))]
            shares = 10 * _SHARE + stage.rng.randrange(20 * _SHARE)
            yield Act(ts, board, -1, stage.rng.randrange(2), shares, maker=stage.wallet)


def _wash(stage: _Stage, partner: int) -> Iterator[Act]:
    """Two wallets of one person buy the same shares from each other, back and forth; and a few real bets."""
    long_lived = [board for board in stage.over if board.close - board.market.start_ts > DAY]
    for board in stage.some(_WASHED, long_lived):
        ts, outcome = stage.moment(board), stage.rng.randrange(2)
        shares = 200 * _SHARE + stage.rng.randrange(200 * _SHARE)
        pair = (stage.wallet, partner)
        for turn in range(_ROUNDS):
            yield Act(ts, board, pair[turn % 2], outcome, shares, maker=pair[1 - turn % 2])
            ts += 60 + stage.rng.randrange(600)
    for wallet in (stage.wallet, partner):
        for board in stage.some(4, stage.over):
            yield replace(stage.buy(board, 50, 10), taker=wallet)


_SCRIPTS: Mapping[str, Callable[[_Stage], Iterator[Act]]] = {
    "skilled_trader": _skilled,
    "specialist": _specialist,
    "insider": _insider,
    "lucky_gambler": _gambler,
    "bot": _bot,
}
