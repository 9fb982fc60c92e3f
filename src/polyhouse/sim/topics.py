"""What simulated events are about: tags as Gamma prints them, question words, outcome labels, usual life times."""

from __future__ import annotations

from dataclasses import dataclass

Tag = tuple[int, str, str]
"""Tag id, label, slug."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One subject.

    Attributes:
        name: the category most of its tags lead to; also decides the fee schedule.
        weight: share of all events.
        tags: the main tag first, then narrower ones.
        question: beginning of its questions.
        outcomes: possible pairs of outcome labels (index 0 is not always "Yes", accounting §5.4).
        shortest: index of its shortest life time.
        neg_risk: may form neg-risk events.
        series: recurring series, if it has one.
    """

    name: str
    weight: int
    tags: tuple[Tag, ...]
    question: str
    outcomes: tuple[tuple[str, str], ...]
    shortest: int
    neg_risk: bool
    series: Tag | None = None


_YES_NO = (("Yes", "No"),)

TOPICS: tuple[Topic, ...] = (
    Topic(
        "politics", 16,
        ((2, "Politics", "politics"), (101, "US Election", "us-election"), (126, "Trump", "trump"),
         (102, "US Politics", "us-politics"), (144, "Elections", "elections")),
        "Will the vote go to", _YES_NO, 3, neg_risk=True,
    ),
    Topic(
        "sports", 30,
        ((1, "Sports", "sports"), (450, "NFL", "nfl"), (745, "NBA", "nba"), (100350, "Soccer", "soccer"),
         (864, "Tennis", "tennis"), (899, "NHL", "nhl")),
        "Who wins:", (("Yes", "No"), ("St. Louis Cardinals", "Chicago Cubs"), ("Over", "Under")), 2, neg_risk=True,
        series=(10345, "Match day", "match-day"),
    ),
    Topic(
        "crypto", 22,
        ((21, "Crypto", "crypto"), (235, "Bitcoin", "bitcoin"), (39, "Ethereum", "ethereum"),
         (818, "Solana", "solana")),
        "Higher at the close:", (("Up", "Down"), ("Yes", "No")), 0, neg_risk=False,
        series=(10192, "Bitcoin up or down", "btc-up-or-down"),
    ),
    Topic(
        "economics", 6,
        ((100328, "Economy", "economy"), (159, "Fed Rates", "fed-rates"), (702, "Inflation", "inflation"),
         (107, "Business", "business")),
        "Will the figure exceed", _YES_NO, 3, neg_risk=True,
    ),
    Topic(
        "tech", 6,
        ((1401, "Tech", "tech"), (439, "AI", "ai"), (537, "OpenAI", "openai"), (22, "Science", "science")),
        "Released this quarter:", _YES_NO, 3, neg_risk=True,
    ),
    Topic(
        "culture", 6,
        ((596, "Culture", "pop-culture"), (53, "Movies", "movies"), (18, "Awards", "awards"), (100, "Music", "music")),
        "Best of the year:", _YES_NO, 3, neg_risk=True,
    ),
    Topic(
        "world", 6,
        ((101970, "World", "world"), (100265, "Geopolitics", "geopolitics"), (154, "Middle East", "middle-east"),
         (96, "Ukraine", "ukraine")),
        "Agreement reached over", _YES_NO, 3, neg_risk=False,
    ),
    Topic(
        "weather", 4,
        ((84, "Weather", "weather"), (103040, "Daily Temperature", "daily-temperature"),
         (85, "Hurricanes", "hurricanes")),
        "Highest temperature in", _YES_NO, 2, neg_risk=True, series=(10006, "Daily temperature", "daily-temperature"),
    ),
    Topic(
        "mentions", 4,
        ((100343, "Mentions", "mention-markets"), (100344, "Earnings Calls", "earnings-calls")),
        "Will they say", _YES_NO, 1, neg_risk=False,
    ),
    Topic(
        "other", 4,
        ((100700, "Misc", "misc"), (100701, "Gaming Chairs", "gaming-chairs")),
        "Will there be", _YES_NO, 2, neg_risk=False,
    ),
)  # fmt: skip

GENERIC_TAGS: tuple[Tag, ...] = (
    (102169, "Hide From New", "hide-from-new"),
    (101757, "Recurring", "recurring"),
    (100196, "All", "all"),
)

SUBJECTS: tuple[str, ...] = (
    "Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Gorse", "Hazel", "Ironwood", "Juniper", "Kapok", "Larch",
    "Maple", "Nutmeg", "Oak", "Pine", "Quince", "Rowan", "Spruce", "Teak", "Ulmus", "Viburnum", "Willow", "Yew",
)  # fmt: skip
