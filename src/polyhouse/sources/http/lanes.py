"""The limiters and counters of one host, one lane per route class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from polyhouse.ports import Clock
from polyhouse.sources.http.limiter import SlidingWindow
from polyhouse.sources.http.limits import HostLimits
from polyhouse.sources.http.metrics import RouteStats

_FIRST_PAUSE = 0.5


class RouteLane(Protocol):
    """One route class as the client sees it: asked before a request is sent, and told what came of it.

    The windows may be counted in another process (``polyhouse.fleet``), so that all loaders share one budget.
    """

    stats: RouteStats

    async def acquire(self) -> list[Any]:
        """Wait for the permission to send one request; what it returns is handed back below."""
        ...

    def answer_began(self, places: list[Any]) -> None:
        """The server has counted the request."""
        ...

    def give_back(self, places: list[Any], *, sent: bool) -> None:
        """The request is over, or was never sent."""
        ...

    @property
    def is_paused(self) -> bool:
        """Whether the upstream asked this route to wait."""
        ...

    @property
    def pause_left(self) -> float:
        """Seconds until requests of this route may go on."""
        ...

    def pause(self, seconds: float) -> None:
        """All tasks of this route wait."""
        ...

    def throttled(self, retry_after: float | None) -> None:
        """The upstream refused for load."""
        ...

    def answered(self) -> None:
        """The upstream answered properly."""
        ...


class RouteLanes(Protocol):
    """All lanes of one host as the client sees them."""

    def lane(self, path: str, route: str | None) -> RouteLane:
        """The lane of a path, or of the route class with this name."""
        ...

    def snapshot(self) -> Sequence[RouteStats]:
        """The counters of every lane that was used."""
        ...


@dataclass(slots=True)
class Lane:
    """One route class: its counters, and the windows every request of it passes, narrowest first."""

    stats: RouteStats
    windows: tuple[SlidingWindow, ...]
    max_pause: float
    _throttles: int = field(default=0)

    async def acquire(self) -> list[SlidingWindow]:
        """Take a place in every window; the order is the same for all lanes, so that nobody waits in a circle."""
        places: list[SlidingWindow] = []
        try:
            for window in self.windows:
                await window.acquire()
                places.append(window)
        except BaseException:
            self.give_back(places, sent=False)
            raise
        return places

    @staticmethod
    def answer_began(places: list[SlidingWindow]) -> None:
        """The server has counted the request: its places expire one window from now (see ``limiter``)."""
        for window in places:
            window.release()
        places.clear()

    @staticmethod
    def give_back(places: list[SlidingWindow], *, sent: bool) -> None:
        """Return the places: used ones expire one window from now, unused ones at once."""
        for window in places:
            if sent:
                window.release()
            else:
                window.cancel()

    @property
    def is_paused(self) -> bool:
        """Whether the upstream asked this route to wait."""
        return self.windows[0].is_paused

    @property
    def pause_left(self) -> float:
        """Seconds until requests of this route may go on."""
        return self.windows[0].pause_left

    def pause(self, seconds: float) -> None:
        """All tasks of this route wait."""
        self.windows[0].pause(seconds)

    def throttled(self, retry_after: float | None) -> None:
        """429: everybody on this route waits as told, or for a doubling pause, and goes on more slowly."""
        self.stats.throttled += 1
        own = min(self.max_pause, _FIRST_PAUSE * 2 ** min(self._throttles, 10))
        self._throttles += 1
        self.pause(own if retry_after is None else retry_after)
        self.windows[0].slow_down()

    def answered(self) -> None:
        """A proper answer ends the doubling."""
        self._throttles = 0


class Lanes:
    """All lanes of one host."""

    def __init__(self, limits: HostLimits, lanes: dict[str, Lane]) -> None:
        self._limits = limits
        self._lanes = lanes

    def lane(self, path: str, route: str | None) -> Lane:
        """The lane of a path, or of the route class with this name."""
        return self._lanes[route if route is not None else self._limits.class_of(path).name]

    def snapshot(self) -> list[RouteStats]:
        """A copy of the counters of every lane that was used."""
        return [
            replace(lane.stats, limit=lane.windows[0].effective_limit, used=lane.windows[0].used)
            for lane in self._lanes.values()
            if lane.stats.requests
        ]


def build_lanes(limits: HostLimits, clock: Clock, scale: float, window: float, patience: float) -> Lanes:
    """The lanes of a host with every limit multiplied by ``scale`` (never below one request per window)."""

    def limiter(limit: int) -> SlidingWindow:
        return SlidingWindow(max(1, int(limit * scale)), clock, window=window, patience=patience)

    total = limiter(limits.total)
    groups = {name: limiter(limit) for name, limit in limits.groups.items()}
    lanes = {}
    for route in limits.routes:
        shared = (groups[route.group],) if route.group else ()
        lanes[route.name] = Lane(
            RouteStats(f"{limits.name}.{route.name}"), (limiter(route.limit), *shared, total), window
        )
    # A limiter of its own, so that a pause of unnamed routes does not stop the named ones.
    lanes["other"] = Lane(RouteStats(f"{limits.name}.other"), (limiter(limits.total), total), window)
    return Lanes(limits, lanes)
