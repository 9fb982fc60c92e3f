"""The events and markets of a simulated universe: what exists, when it trades, how it ends.

Everything is drawn from one seeded generator with integer arithmetic. Condition and token ids are real derivations
(accounting §5.3), so that a loader that verifies them offline finds them correct.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isqrt
from random import Random

from polyhouse.domain import contracts, ids
from polyhouse.sim.model import SimEvent, SimMarket
from polyhouse.sim.topics import GENERIC_TAGS, SUBJECTS, TOPICS, Topic

HOUR = 3_600
DAY = 86_400
NEW_YEAR_FEES = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp())
SPORTS_FEES = int(datetime(2026, 2, 18, tzinfo=UTC).timestamp())
CRYPTO_FEES = int(datetime(2026, 3, 6, tzinfo=UTC).timestamp())
GENERAL_FEES = int(datetime(2026, 3, 30, tzinfo=UTC).timestamp())
SPORTS_RAISE = int(datetime(2026, 7, 10, tzinfo=UTC).timestamp())
_ORACLE = contracts.NEG_RISK_UMA_ADAPTER
_DURATIONS = (HOUR // 4, HOUR, 6 * HOUR, DAY, 3 * DAY, 7 * DAY, 20 * DAY, 45 * DAY, 90 * DAY)


@dataclass(frozen=True, slots=True)
class Listing:
    """A market with what only its creator knows.

    Attributes:
        market: the published part; ``resolved_ts`` and ``numerators`` are set if it ends inside the generated span.
        topic: name of the subject that decides who trades here.
        fills: how many ``OrderFilled`` logs the market is to have (a few more may happen).
        opening: first price of outcome 0 in thousandths.
        tick: price step in thousandths (1 or 10).
        winner: the outcome that is going to win, 2 = both halves (50/50); known to informed traders beforehand.
        afterlife: trades after the resolution.
    """

    market: SimMarket
    topic: str
    fills: int
    opening: int
    tick: int
    winner: int
    afterlife: int


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All events, and the listings of their markets in creation order."""

    events: tuple[SimEvent, ...]
    listings: tuple[Listing, ...]


def build_catalogue(rng: Random, *, fills: int, start: int, end: int) -> Catalogue:
    """Create the events of a universe with about ``fills`` fills between ``start`` and ``end`` (Unix seconds)."""
    # fills ** (5/8) in whole numbers: the same on every machine
    wanted = max(6, min(fills // 20, 40 + isqrt(isqrt(isqrt(fills**5)))))
    drafts = list(_drafts(rng, wanted, start, end))
    weights = [1_000_000 // (10 + rng.randrange(1_000)) for draft in drafts for _ in range(draft.questions)]
    total = sum(weights)
    events: list[SimEvent] = []
    listings: list[Listing] = []
    for number, draft in enumerate(drafts, 1):
        rows: list[Listing] = []
        for index in range(draft.questions):
            share = max(1, fills * weights[len(listings) + len(rows)] // total)
            rows.append(_listing(rng, draft, number, index, 1_000 + len(listings) + len(rows), share, end))
        events.append(_event(draft, number, tuple(row.market for row in rows)))
        listings.extend(rows)
    return Catalogue(tuple(events), tuple(listings))


@dataclass(slots=True)
class _Draft:
    topic: Topic
    tags: tuple[tuple[int, str, str], ...]
    series: tuple[int, str, str] | None
    subject: str
    questions: int
    neg_risk: bool
    market_id: bytes
    fee_bips: int
    start: int
    end: int
    resolved: int
    winner: int  # neg-risk: winning question, -1 = none of the listed ones


def _drafts(rng: Random, wanted: int, start: int, end: int) -> Iterator[_Draft]:
    made = 0
    topics = [topic for topic in TOPICS for _ in range(topic.weight)]
    while made < wanted:
        topic = topics[rng.randrange(len(topics))]
        neg_risk = topic.neg_risk and rng.randrange(100) < 30
        questions = 3 + rng.randrange(4) if neg_risk else (1 if rng.randrange(5) else 2 + rng.randrange(2))
        questions = max(1, min(questions, wanted - made))
        neg_risk = neg_risk and questions >= 3
        made += questions
        opened = start + rng.randrange(max(1, (end - start) * 97 // 100))
        closes = opened + _DURATIONS[min(len(_DURATIONS) - 1, topic.shortest + rng.randrange(6))]
        closes += rng.randrange(HOUR // 4)
        resolved = closes + 600 + rng.randrange(8 * HOUR)
        if rng.randrange(100) < 8:
            resolved = closes + (20 + rng.randrange(60)) * DAY
        yield _Draft(
            topic,
            _tags(rng, topic, topics),
            topic.series if topic.series and rng.randrange(3) else None,
            SUBJECTS[rng.randrange(len(SUBJECTS))],
            questions,
            neg_risk,
            rng.getrandbits(256).to_bytes(32, "big")[:31] + b"\0" if neg_risk else b"",
            200 if neg_risk and rng.randrange(100) < 6 else 0,
            _even(opened),
            _even(closes),
            _even(resolved),
            rng.randrange(questions) if rng.randrange(10) else -1,
        )


def _even(ts: int) -> int:
    return ts - ts % 2


def _tags(rng: Random, topic: Topic, topics: list[Topic]) -> tuple[tuple[int, str, str], ...]:
    if rng.randrange(100) < 6:
        return ()
    chosen = [topic.tags[rng.randrange(len(topic.tags))]]
    if rng.randrange(100) < 85:
        chosen.insert(0, topic.tags[0])
    if rng.randrange(100) < 15:
        chosen.append(topics[rng.randrange(len(topics))].tags[0])
    if rng.randrange(100) < 40:
        chosen.append(GENERIC_TAGS[rng.randrange(len(GENERIC_TAGS))])
    return tuple(dict.fromkeys(chosen))


def fee_rate(topic: str, start: int, *, short: bool = False) -> str:
    """The schedule's taker rate for a market that opens at ``start`` (accounting §1.8); ``"0"`` before its first fees.

    ``short`` marks the quarter-hour crypto series, whose fees came first.
    """
    if topic == "crypto":
        return "0.07" if start >= CRYPTO_FEES or (short and start >= NEW_YEAR_FEES) else "0"
    if topic == "sports":
        return "0" if start < SPORTS_FEES else ("0.03" if start < SPORTS_RAISE else "0.05")
    if start < GENERAL_FEES or topic == "world":
        return "0"
    return "0.04" if topic in ("politics", "mentions", "tech") else "0.05"


def _listing(
    rng: Random, draft: _Draft, number: int, index: int, market_id: int, fills: int, universe_end: int
) -> Listing:
    if draft.neg_risk:
        question_id = ids.neg_risk_question_id(draft.market_id, index)
        condition = ids.neg_risk_condition_id(draft.market_id, index)
        collateral = contracts.WCOL
    else:
        question_id = rng.getrandbits(256).to_bytes(32, "big")
        condition = ids.condition_id(_ORACLE, question_id)
        collateral = contracts.USDC_E
    tokens = ids.token_ids(condition, collateral)
    winner, ends = _ending(rng, draft, index)
    resolved = ends if ends < universe_end - HOUR else None
    outcomes = draft.topic.outcomes[rng.randrange(len(draft.topic.outcomes))] if not draft.neg_risk else ("Yes", "No")
    question = f"{draft.topic.question} {draft.subject}" + (f" · option {index + 1}" if draft.questions > 1 else "")
    market = SimMarket(
        market_id=market_id,
        condition_id=ids.format_condition(condition),
        question_id=ids.format_hash(question_id),
        question=question + "?",
        slug=f"{draft.topic.name}-{number}-{index}",
        outcomes=outcomes,
        token_ids=(ids.format_token(tokens[0]), ids.format_token(tokens[1])),
        event_id=number,
        neg_risk=draft.neg_risk,
        neg_risk_market_id=ids.format_hash(draft.market_id) if draft.neg_risk else "",
        question_index=index,
        created_ts=draft.start - 600,
        start_ts=draft.start,
        end_ts=draft.end,
        fee_rate=fee_rate(draft.topic.name, draft.start, short=draft.end - draft.start < HOUR),
        resolved_ts=resolved,
        numerators=None if resolved is None else ((1, 0), (0, 1), (1, 1))[winner],
    )
    lifetime, open_time = draft.end - draft.start, min(draft.end, universe_end) - draft.start
    return Listing(
        market=market,
        topic=draft.topic.name,
        fills=max(1, fills * max(0, open_time) // lifetime),
        opening=max(30, min(970, 1_000 // draft.questions if draft.neg_risk else 150 + rng.randrange(700))),
        tick=1 if rng.randrange(4) == 0 else 10,
        winner=winner,
        afterlife=1 + rng.randrange(3) if rng.randrange(50) == 0 else 0,
    )


def _ending(rng: Random, draft: _Draft, index: int) -> tuple[int, int]:
    """The winning outcome and the time at which it becomes known on chain."""
    if not draft.neg_risk:
        roll = rng.randrange(100)
        winner = 2 if roll < 4 else roll & 1
        shift = 2 * rng.randrange(300)
        return winner, draft.resolved + shift
    winner = 0 if index == draft.winner else 1
    if winner == 1 and rng.randrange(10) == 0:
        # An option that dropped out: settled while the rest of the market still trades.
        return winner, _even(draft.start + (draft.end - draft.start) * (60 + rng.randrange(30)) // 100)
    return winner, draft.resolved + 2 * index


def _event(draft: _Draft, number: int, markets: tuple[SimMarket, ...]) -> SimEvent:
    return SimEvent(
        event_id=number,
        slug=f"{draft.topic.name}-{number}",
        title=f"{draft.topic.question} {draft.subject}?",
        tags=draft.tags,
        series=draft.series,
        neg_risk=draft.neg_risk,
        neg_risk_market_id=ids.format_hash(draft.market_id) if draft.neg_risk else "",
        neg_risk_fee_bips=draft.fee_bips,
        created_ts=draft.start - 600,
        start_ts=draft.start,
        end_ts=draft.end,
        markets=markets,
    )
