"""The one category of a condition, from the tags of its event (accounting §3.5).

Every condition has exactly one category: the first of ``CATEGORIES`` that is among the labels or slugs of its event's
tags, directly or as one of ``SYNONYMS``; ``other`` if none is. Sums over categories therefore add up to the total.
The table is versioned, since a change moves money between categories: raise ``CATEGORY_VERSION`` with every change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

CATEGORIES: tuple[str, ...] = (
    "politics", "sports", "crypto", "economics", "tech", "culture", "world", "weather", "mentions", "other",
)  # fmt: skip
"""All categories, in the order in which they are looked for."""

OTHER = "other"
CATEGORY_VERSION = "2026-11"
"""Names this list of categories and synonyms; stored with every derived category."""

_SYNONYM_LISTS: dict[str, str] = {
    "politics": """
        us-politics uk-politics political elections us-election us-elections global-elections world-elections
        uselections midterms midterm-elections primaries primary-elections us-presidential-election
        presidential-election us-presidential-elections congress senate house-of-representatives us-senate us-house
        governor governors gubernatorial supreme-court scotus white-house trump-presidency trump-cabinet
        us-government government-shutdown democrats republicans gop impeachment us-current-affairs
    """,
    "sports": """
        sport games nfl nba mlb nhl wnba ncaa cfb cbb ncaab ncaa-basketball college-football college-basketball
        football american-football soccer basketball baseball hockey ice-hockey tennis atp wta golf pga cricket ipl
        rugby f1 formula-1 formula1 nascar motorsport motorsports mma ufc boxing epl premier-league la-liga laliga
        serie-a bundesliga ligue-1 ucl champions-league uefa-champions-league uefa europa-league mls fifa
        fifa-world-cup world-cup euro-2024 olympics winter-olympics chess super-bowl nba-finals march-madness
        esports e-sports counter-strike-2 cs2 csgo dota-2 dota2 league-of-legends lol valorant wwe wrestling cycling
    """,
    "crypto": """
        cryptocurrency crypto-prices bitcoin btc ethereum eth solana sol xrp ripple dogecoin doge bnb cardano
        altcoins memecoins meme-coins stablecoins stablecoin defi nft nfts airdrop airdrops token-launches
        crypto-policy binance coinbase microstrategy hyperliquid
    """,
    "economics": """
        economy economic finance financials business fed fed-rates federal-reserve fomc interest-rates inflation cpi
        gdp unemployment jobs jobs-report recession tariffs trade-war taxes markets stocks stock-market equities
        indices sp500 s-p-500 nasdaq commodities gold oil forex treasuries earnings ipo ipos macro
        macro-indicators mortgage-rates housing
    """,
    "tech": """
        technology ai artificial-intelligence openai chatgpt gpt-5 anthropic google-gemini deepseek llm big-tech
        apple google microsoft meta nvidia tesla spacex science space robotics semiconductors
    """,
    "culture": """
        pop-culture popculture entertainment movies movie film films box-office music tv television
        streaming netflix oscars academy-awards grammys emmys golden-globes awards celebrities celebrity eurovision
        taylor-swift kanye mrbeast youtube twitch video-games gta-vi books art
    """,
    "world": """
        world-news world-affairs geopolitics geopolitical global foreign-affairs foreign-policy international
        international-affairs middle-east israel gaza iran ukraine russia ukraine-russia ukraine-peace-deal china
        taiwan north-korea south-korea india venezuela syria nato united-nations war wars military-actions
    """,
    "weather": """
        climate climate-weather climate-and-weather climate-science temperature daily-temperature
        global-temp global-temperature highest-temperature hurricane hurricanes hurricane-season storms tornado
        tornadoes earthquakes earthquake natural-disasters snow rain precipitation
    """,
    "mentions": """
        mention mention-markets mentions-markets what-will-they-say earnings-mentions tweet-markets tweets-markets
        word-mentions trump-mentions
    """,
}

SYNONYMS: dict[str, str] = {
    word: category for category, words in _SYNONYM_LISTS.items() for word in (category, *words.split())
}
"""Tag slug → category. Labels are compared in slug form: lowercase, runs of other characters as one hyphen."""

_RANK = {category: rank for rank, category in enumerate(CATEGORIES)}
_SEPARATORS = re.compile(r"[\W_]+")


def category_of(labels_or_slugs: Iterable[str]) -> str:
    """The category of an event with these tag labels or slugs, case-insensitive; ``other`` if none is known.

    The order of the tags does not matter: the priority is that of ``CATEGORIES``.
    """
    best = _RANK[OTHER]
    for label in labels_or_slugs:
        category = SYNONYMS.get(label) or SYNONYMS.get(_slug(label))
        if category is not None and _RANK[category] < best:
            best = _RANK[category]
    return CATEGORIES[best]


def _slug(label: str) -> str:
    return _SEPARATORS.sub("-", label.casefold()).strip("-")
