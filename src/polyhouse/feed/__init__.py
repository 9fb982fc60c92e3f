"""The feed: what became known of trades, resolutions, leaderboards and flags, in an order that readers can resume.

After every build ``publish`` compares the published tables with what the feed said before, and appends the
differences. So a trade is told once, whichever source brought it, told again when its amounts change, and taken back
when a re-organisation removes it.
"""

from polyhouse.feed.publish import publish
from polyhouse.feed.read import FeedQuery, feed

__all__ = ["FeedQuery", "feed", "publish"]
