"""The upstreams: does each answer, does it accept our keys, does it slow us down, and do our clocks agree."""

from __future__ import annotations

import asyncio
import email.utils
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from polyhouse.doctor.finding import Finding
from polyhouse.settings import Settings

SKEW_WARN, SKEW_FAIL = 5.0, 60.0
"""Seconds by which clocks may differ: the Date header has whole seconds."""
_TIMEOUT = 10.0
_REFUSED = (401, 403)


@dataclass(frozen=True, slots=True)
class Probe:
    """One question to one upstream. ``key``: the setting that has its key; "" = it needs none."""

    name: str
    url: str
    setting: str
    key: str = ""
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    body: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of it: HTTP status (0 = nothing), seconds it took, the upstream's clock, what went wrong."""

    status: int
    seconds: float
    clock: float | None = None
    error: str = ""
    retry_after: str = ""


def examine_upstreams(settings: Settings) -> Iterator[Finding]:
    """Ask every upstream one small question."""
    probes = _probes(settings)
    heard = asyncio.run(_ask_all(probes))
    for probe, answer in zip(probes, heard, strict=True):
        yield finding_of(probe, answer)
    yield _skew([answer.clock - time.time() for answer in heard if answer.clock is not None])
    if not settings.rpc_urls():
        yield Finding("rpc", "ok", "no Polygon node is set: the chain is not read")
    if settings.rate_scale > 1:
        text = f"rate_scale is {settings.rate_scale:g}: requests go out above the published limits"
        yield Finding("rate_limit", "warn", text, "POLYHOUSE_RATE_SCALE=0.8, unless all upstreams are your own mirrors")
    else:
        yield Finding("rate_limit", "ok", f"requests keep to {settings.rate_scale:.0%} of the published limits")


def finding_of(probe: Probe, heard: Heard) -> Finding:
    """What an answer means."""
    host = urlsplit(probe.url).hostname or "?"
    took = f"{heard.seconds * 1_000:,.0f} ms"
    if not heard.status:
        fix = f"check the network, a proxy and {probe.setting}"
        return Finding(probe.name, "fail", f"{host} does not answer: {heard.error}", fix)
    if heard.status in _REFUSED:
        fix = (
            f"set {probe.key} to a valid key"
            if probe.key
            else f"{host} blocks this address or region; set {probe.setting}"
        )
        return Finding(probe.name, "fail", f"{host} refuses us (HTTP {heard.status})", fix)
    if heard.status == 429:
        wait = f"; it asks to wait {heard.retry_after} s" if heard.retry_after else ""
        fix = "POLYHOUSE_RATE_SCALE=0.5, and see that no other program of this address asks it"
        return Finding(probe.name, "warn", f"{host} asks for fewer requests (HTTP 429){wait}", fix)
    if heard.status >= 500:
        return Finding(
            probe.name, "warn", f"{host} is out of order (HTTP {heard.status})", "try again in a few minutes"
        )
    if heard.status >= 400:
        return Finding(
            probe.name, "fail", f"{host} does not know the question (HTTP {heard.status})", f"check {probe.setting}"
        )
    return Finding(probe.name, "ok", f"{host} answers in {took}")


def _probes(settings: Settings) -> list[Probe]:
    found = [
        Probe("gamma", f"{settings.gamma_url}/markets?limit=1", "POLYHOUSE_GAMMA_URL"),
        Probe("clob", f"{settings.clob_url}/markets", "POLYHOUSE_CLOB_URL"),
        Probe("data", f"{settings.data_url}/v2/status", "POLYHOUSE_DATA_URL"),
    ]
    question = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []})
    found += [
        Probe(f"rpc{number}" if number > 1 else "rpc", url, "POLYHOUSE_RPC_URL", "POLYHOUSE_RPC_URL", body=question)
        for number, url in enumerate(settings.rpc_urls(), 1)
    ]
    if settings.hypersync_token is not None:
        bearer = {"Authorization": f"Bearer {settings.hypersync_token.get_secret_value()}"}
        found.append(
            Probe("hypersync", f"{settings.hypersync_url}/height", "POLYHOUSE_HYPERSYNC_URL",
                  "POLYHOUSE_HYPERSYNC_TOKEN", bearer)
        )  # fmt: skip
    return found


async def _ask_all(probes: Sequence[Probe]) -> list[Heard]:
    import aiohttp

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT)) as session:
        return list(await asyncio.gather(*(_ask(session, probe) for probe in probes)))


async def _ask(session: object, probe: Probe) -> Heard:
    import aiohttp

    assert isinstance(session, aiohttp.ClientSession)
    started = time.monotonic()
    headers = probe.headers | ({"Content-Type": "application/json"} if probe.body else {})
    try:
        async with session.request(
            "POST" if probe.body else "GET", probe.url, headers=headers, data=probe.body or None, allow_redirects=False
        ) as answer:
            seconds = time.monotonic() - started
            return Heard(
                answer.status, seconds, _clock(answer.headers.get("Date")), "", answer.headers.get("Retry-After", "")
            )
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        # Their texts may hold the URL, and with it a key.
        return Heard(0, time.monotonic() - started, error=type(error).__name__)


def _clock(date: str | None) -> float | None:
    if date is None:
        return None
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None


def _skew(differences: Sequence[float]) -> Finding:
    """Most upstreams against our clock: one that is wrong does not outvote the others."""
    if not differences:
        return Finding("clock", "warn", "no upstream said what time it is", "check the network")
    ahead = -sorted(differences)[len(differences) // 2]
    far = abs(ahead)
    fix = "sudo timedatectl set-ntp true, or start the host's time service"
    if far >= SKEW_WARN:
        word = "ahead of" if ahead > 0 else "behind"
        text = f"this machine's clock is {far:,.0f} seconds {word} the upstreams"
        return Finding("clock", "fail" if far >= SKEW_FAIL else "warn", text, fix)
    return Finding("clock", "ok", "this machine's clock agrees with the upstreams")
