"""What each public host allows per address: requests per sliding window of ten seconds, by class of route.

Figures are the published ones, for the Data API's second version the measured ones (upstream.md §3). The client
multiplies them with ``POLYHOUSE_RATE_SCALE``. A request counts in its class, in the group of classes that share one
published limit (if any) and in the total of its host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

WINDOW_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class RouteClass:
    """Routes that share one limit.

    Attributes:
        name: what ``status`` shows.
        prefixes: paths that belong to the class; the longest matching prefix over all classes decides.
        limit: requests per window before scaling.
        group: name of a limit shared with other classes, "" = none.
    """

    name: str
    prefixes: tuple[str, ...]
    limit: int
    group: str = ""


@dataclass(frozen=True, slots=True)
class HostLimits:
    """The limits of one host. Paths that no class names fall into the class ``other``, limited by ``total`` alone."""

    name: str
    total: int
    routes: tuple[RouteClass, ...] = ()
    groups: Mapping[str, int] = field(default_factory=dict)

    def class_of(self, path: str) -> RouteClass:
        """The class of a path."""
        best, length = RouteClass("other", (), self.total), -1
        for route in self.routes:
            for prefix in route.prefixes:
                if len(prefix) > length and path.startswith(prefix):
                    best, length = route, len(prefix)
        return best

    def per_second(self, path: str, rate_scale: float) -> float:
        """Requests a second that a path allows, its limit multiplied by ``rate_scale``."""
        return max(1, int(self.class_of(path).limit * rate_scale)) / WINDOW_SECONDS


GAMMA = HostLimits(
    "gamma",
    total=4_000,
    routes=(
        RouteClass("events", ("/events",), 500, "listings"),
        RouteClass("markets", ("/markets",), 300, "listings"),
        RouteClass("tags", ("/tags", "/comments"), 200),
        RouteClass("search", ("/public-search",), 350),
    ),
    groups={"listings": 900},
)
CLOB = HostLimits(
    "clob",
    total=9_000,
    routes=(
        RouteClass("markets", ("/markets", "/simplified-markets", "/sampling-markets"), 900),
        RouteClass("prices-history", ("/prices-history",), 1_000),
    ),
)
DATA = HostLimits(
    "data",
    total=900,
    routes=(
        RouteClass("trades", ("/v2/trades", "/trades"), 200),
        # 200 were measured as accepted, with one 503 already at 150: the older route's published limit is safe.
        RouteClass("positions", ("/v2/positions", "/positions", "/closed-positions"), 150),
        RouteClass("activity", ("/v2/activity",), 400),
        RouteClass("holders", ("/v2/holders",), 400),
        RouteClass("resolutions", ("/v2/resolutions",), 400),
        RouteClass("tokens", ("/v2/tokens",), 400),
        RouteClass("value", ("/v2/value",), 400),
    ),
)
