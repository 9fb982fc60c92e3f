"""Several JSON-RPC endpoints as one: batches, errors inside 200, limits and failover.

A question is a batch that one endpoint answers as a whole, so that its parts are of one view of the chain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import msgspec

from polyhouse.errors import (
    AuthError,
    ConfigError,
    PolyhouseError,
    RateLimitedError,
    RetryableError,
    UpstreamContractError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from polyhouse.ports import Clock
from polyhouse.sources.http import HostLimits, HttpClient, RetryPolicy, SystemClock

Call = tuple[str, Sequence[Any]]
"""(method, parameters)."""

_RATE = re.compile(
    r"\brate\b|too many requests|capacity|compute units|quota|credits|throughput|per second", re.IGNORECASE
)
_TOO_LARGE = re.compile(
    r"query returned more than|too many (results|logs)|more than [\d,]+ (results|logs|blocks)|max results"
    r"|response size|result set|block range|range (is )?too|range of|blocks? range|exceeds? .*range|range .*exceed"
    r"|limited to|maximum .*blocks|up to (a )?[\d,]+ blocks?|query time ?out"
    r"|execution (timeout|aborted)|too (large|wide|big)",
    re.IGNORECASE,
)
_TIMED_OUT = re.compile(r"did not answer within|Timeout|answered (413|504|524)\b", re.IGNORECASE)
_PAUSE_SECONDS = 5.0
_MAX_PAUSE_SECONDS = 120.0
_BAD_REQUEST = frozenset({-32600, -32601, -32602})


class RangeTooLargeError(UpstreamRefusedError):
    """The node will not answer for so many blocks or logs at once; ask for fewer."""

    code = "RANGE_TOO_LARGE"


def is_timeout(error: BaseException) -> bool:
    """Whether an endpoint gave up, or we did, because the answer took too long: a smaller question may succeed."""
    return isinstance(error, UpstreamUnavailableError) and bool(_TIMED_OUT.search(str(error)))


def parse_limits(text: str, count: int) -> list[int]:
    """Requests per ten seconds of each endpoint, from ``"200"`` (for all) or ``"200,50"``.

    Raises:
        ConfigError: not numbers, or another number of them.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdigit() and int(part) for part in parts) or len(parts) not in (1, count):
        raise ConfigError(
            f"POLYHOUSE_RPC_LIMIT is {text!r}: expected one whole number above 0, or one for each of the {count} nodes"
        )
    return [int(part) for part in (parts * count if len(parts) == 1 else parts)]


@dataclass(slots=True)
class _Endpoint:
    client: HttpClient
    batch: int
    failures: int = 0
    resting_until: float = 0.0
    lags: bool = field(default=False)


class RpcPool:
    """All endpoints of one chain; use as an async context manager.

    Args:
        urls: base URLs; the first one that is well is asked. Keys may be part of them and are never shown.
        limits: requests per ten seconds of each.
        clock: time and sleep.
        rate_scale: factor on every limit.
        batch: calls in one request at most; halved where a node takes fewer.
        policy: retries at one endpoint before the next one is asked.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        limits: Sequence[int],
        clock: Clock | None = None,
        rate_scale: float = 0.8,
        batch: int = 50,
        policy: RetryPolicy | None = None,
    ) -> None:
        if not urls:
            raise ConfigError("no Polygon node is set", hint="set POLYHOUSE_RPC_URL to one or more JSON-RPC URLs")
        self.clock: Clock = clock or SystemClock()
        policy = policy or RetryPolicy(attempts=2 if len(urls) > 1 else 4, cap_seconds=5.0, retry_after_cap=30.0)
        self._endpoints = [
            _Endpoint(
                HttpClient(
                    url,
                    HostLimits(f"rpc{number}" if number > 1 else "rpc", total=limit),
                    clock=self.clock,
                    rate_scale=rate_scale,
                    policy=policy,
                    timeouts=(5.0, 20.0, 30.0),
                ),
                batch,
            )
            for number, (url, limit) in enumerate(zip(urls, limits, strict=True), 1)
        ]
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for endpoint in self._endpoints:
            await self._stack.enter_async_context(endpoint.client)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def clients(self) -> dict[str, HttpClient]:
        """The HTTP clients by name, for the counters of ``status``."""
        return {endpoint.client.name: endpoint.client for endpoint in self._endpoints}

    async def ask(self, calls: Sequence[Call], check: Callable[[list[Any]], None] | None = None) -> list[Any]:
        """The results of all calls, in their order, from one endpoint.

        Args:
            calls: what to ask.
            check: looks at the results and raises if they cannot be true; then the next endpoint is asked.

        Raises:
            RangeTooLargeError: the question must be cut.
            PolyhouseError: every endpoint failed; the last one's error.
        """
        last: PolyhouseError | None = None
        for endpoint in self._order():
            try:
                results = await self._ask_one(endpoint, calls)
                if check is not None:
                    check(results)
            except RangeTooLargeError:
                raise
            except (RetryableError, UpstreamRefusedError, UpstreamContractError, AuthError) as error:
                self._failed(endpoint)
                last = error
            else:
                endpoint.failures = 0
                return results
        assert last is not None
        raise last

    async def head(self) -> int:
        """The highest block number any endpoint knows; those that are behind are asked last from now on.

        Raises:
            PolyhouseError: no endpoint answered.
        """
        heads: list[tuple[_Endpoint, int]] = []
        last: PolyhouseError | None = None
        for endpoint in self._endpoints:
            try:
                (answer,) = await self._ask_one(endpoint, [("eth_blockNumber", [])])
                heads.append((endpoint, _number(answer)))
            except (RetryableError, UpstreamRefusedError, UpstreamContractError, AuthError) as error:
                self._failed(endpoint)
                last = error
        if not heads:
            assert last is not None
            raise last
        best = max(height for _, height in heads)
        for endpoint, height in heads:
            endpoint.lags = height < best
        return best

    def _order(self) -> list[_Endpoint]:
        """Endpoints to try: the rested and up-to-date ones first. Nobody is left out: all others may be down."""
        now = self.clock.monotonic()
        return sorted(self._endpoints, key=lambda one: (one.resting_until > now, one.lags, one.resting_until))

    def _failed(self, endpoint: _Endpoint) -> None:
        endpoint.failures += 1
        pause = min(_MAX_PAUSE_SECONDS, _PAUSE_SECONDS * 2 ** min(endpoint.failures - 1, 10))
        endpoint.resting_until = self.clock.monotonic() + pause

    async def _ask_one(self, endpoint: _Endpoint, calls: Sequence[Call]) -> list[Any]:
        results: list[Any] = []
        while len(results) < len(calls):
            size = endpoint.batch
            part = calls[len(results) : len(results) + size]
            try:
                results += await self._send(endpoint.client, part)
            except _BatchRefusedError:
                if len(part) == 1:
                    raise
                endpoint.batch = max(1, len(part) // 2)
        return results

    @staticmethod
    async def _send(client: HttpClient, calls: Sequence[Call]) -> list[Any]:
        body = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
            for number, (method, params) in enumerate(calls)
        ]
        payload = msgspec.json.encode(body if len(body) > 1 else body[0])

        def decode(answer: bytes) -> list[Any]:
            return _results(msgspec.json.decode(answer), len(body), client.name)

        try:
            return await client.post("", payload, decode)
        except (UpstreamRefusedError, RateLimitedError) as error:
            if isinstance(error, RangeTooLargeError | _BatchRefusedError):
                raise
            if getattr(error, "status", 0) == 413 or _is_too_large(str(error)):
                raise RangeTooLargeError(str(error)) from error
            raise


class _BatchRefusedError(UpstreamRefusedError):
    """The node does not take so many calls in one request."""


def _number(answer: Any) -> int:
    from polyhouse.sources.chain.blocks import quantity

    return quantity(answer, "the number of its newest block")


def _results(answer: Any, count: int, name: str) -> list[Any]:
    """The results in the order of the calls."""
    if isinstance(answer, dict):
        if count > 1:
            error = answer.get("error")
            text = str(error.get("message", "")) if isinstance(error, dict) else ""
            if "batch" in text.lower():
                raise _BatchRefusedError(f"{name}: {text[:200]}")
            raise _error(error, name)
        answer = [answer]
    if not isinstance(answer, list):
        raise UpstreamContractError(f"{name} answered {type(answer).__name__} instead of a JSON-RPC answer")
    results: dict[int, Any] = {}
    for item in answer:
        if not isinstance(item, dict):
            raise UpstreamContractError(f"{name} answered {type(item).__name__} instead of a JSON-RPC answer")
        if item.get("error") is not None:
            raise _error(item["error"], name)
        number = item.get("id")
        if "result" in item and isinstance(number, int):
            results[number] = item["result"]
    if len(results) < count or any(number not in results for number in range(count)):
        raise UpstreamUnavailableError(f"{name} answered {len(results)} of {count} calls")
    return [results[number] for number in range(count)]


def _is_too_large(text: str) -> bool:
    return bool(_TOO_LARGE.search(text)) and not _RATE.search(text)


def _error(error: Any, name: str) -> PolyhouseError:
    """The error that a JSON-RPC error object stands for: its text decides, since providers share no codes."""
    found = error if isinstance(error, dict) else {}
    text = " ".join(str(found.get("message", error)).split())[:200]
    code = found.get("code", 0)
    message = f"{name}: {text} ({code})"
    if _is_too_large(text):
        return RangeTooLargeError(message)
    if _RATE.search(text) or code == -32005:
        return RateLimitedError(message)
    if code in _BAD_REQUEST:
        return UpstreamRefusedError(message)
    return UpstreamUnavailableError(message)
