"""One polite, stubborn HTTP client per upstream host: limits, retries, circuit breaker, metrics."""

from polyhouse.sources.http.client import HttpClient
from polyhouse.sources.http.clock import SystemClock
from polyhouse.sources.http.limits import CLOB, DATA, GAMMA, HostLimits, RouteClass
from polyhouse.sources.http.metrics import RouteStats
from polyhouse.sources.http.retry import RetryPolicy

__all__ = [
    "CLOB",
    "DATA",
    "GAMMA",
    "HostLimits",
    "HttpClient",
    "RetryPolicy",
    "RouteClass",
    "RouteStats",
    "SystemClock",
]
