import asyncio
import gzip
import random
import zlib

import msgspec
import pytest
from aiohttp import web

from polyhouse.errors import (
    CircuitOpenError,
    ConfigError,
    CursorRejectedError,
    PolyhouseError,
    RateLimitedError,
    UpstreamContractError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from polyhouse.sources.http import DATA, HttpClient, RetryPolicy

SECRET = "s3cr3t-planted-key"
ONCE = RetryPolicy(attempts=1)


def client_for(url, clock, policy=None, **options):
    return HttpClient(url, DATA, clock=clock, rate_scale=10.0, policy=policy, rng=random.Random(1), **options)


def number(body):
    return msgspec.json.decode(body, type=dict)["n"]


class Script:
    """A handler that answers the scripted responses in turn, the last one for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.calls = 0
        self.queries = []

    async def __call__(self, request):
        self.calls += 1
        self.queries.append(dict(request.query))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request) if callable(answer) else answer_of(answer)


def answer_of(spec):
    status, headers, body = spec
    return web.Response(status=status, headers={"Content-Type": "application/json", **headers}, body=body)


OK = (200, {}, b'{"n": 7}')


async def truncated(request):
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"n": ')
    request.transport.close()
    return response


async def reset(request):
    request.transport.abort()
    return web.Response()


async def half_gzip(request):
    body = gzip.compress(b'{"n": 7}' * 100)[:30]
    return web.Response(body=body, headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})


RETRIED = {
    "408": (408, {}, b"{}"),
    "425": (425, {}, b"{}"),
    "429": (429, {}, b"{}"),
    "500": (500, {}, b'{"error":"cannot get the information"}'),
    "503": (503, {"Retry-After": "3"}, b"{}"),
    "524": (524, {"Content-Type": "text/html"}, b"<html>"),
    "html with 200": (200, {"Content-Type": "text/html"}, b"<html>checking your browser</html>"),
    "text with 200": (200, {"Content-Type": "text/plain"}, b'{"n": 7}'),
    "empty with 200": (200, {}, b""),
    "truncated json": (200, {}, b'{"n": '),
    "not json": (200, {}, b"\xff\xfe{}"),
    "truncated body": truncated,
    "reset": reset,
    "broken gzip": half_gzip,
}


@pytest.mark.parametrize("name", RETRIED)
async def test_retryable_answers_are_retried(serve, instant_clock, name):
    script = Script(RETRIED[name], RETRIED[name], OK)
    async with client_for(await serve(script), instant_clock) as client:
        assert await client.get("/v2/activity", {"user": "0x1"}, number) == 7
        (stats,) = client.snapshot()
    assert script.calls == 3
    assert script.queries == [{"user": "0x1"}] * 3
    # aiohttp itself sends once more when a kept connection turns out to be dead.
    resent = 1 if name == "reset" else 0
    assert (stats.requests, stats.errors, stats.retries) == (3 - resent, 2 - resent, 2 - resent)
    assert stats.throttled == (2 if name == "429" else 0)


REFUSED = {
    "400": ((400, {}, b'{"error":"bad limit"}'), None, UpstreamRefusedError),
    "400 with a cursor": ((400, {}, b'{"error":"invalid cursor"}'), {"cursor": "abc"}, CursorRejectedError),
    "403 html": ((403, {"Content-Type": "text/html"}, b"<html>"), None, UpstreamRefusedError),
    "404": ((404, {}, b'{"error":"not found"}'), {"cursor": "abc"}, UpstreamRefusedError),
    "414": ((414, {}, b""), None, UpstreamRefusedError),
    "422": ((422, {}, b'{"error":"validation"}'), {"after_cursor": "abc"}, UpstreamRefusedError),
    "shape": ((200, {}, b'{"n": "seven"}'), None, UpstreamContractError),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_final_answers_are_asked_once(serve, instant_clock, name):
    answer, params, expected = REFUSED[name]
    script = Script(answer)
    decode = msgspec.json.Decoder(dict[str, int]).decode
    async with client_for(await serve(script), instant_clock) as client:
        with pytest.raises(expected) as caught:
            await client.get("/v2/trades", params, decode)
    assert type(caught.value) is expected
    assert script.calls == 1
    assert getattr(caught.value, "status", answer[0]) == answer[0]
    assert instant_clock.slept == []


async def test_an_error_inside_a_200_is_retried_when_the_decoder_says_so(serve, instant_clock):
    def decode(body):
        document = msgspec.json.decode(body)
        if "errors" in document:
            raise UpstreamUnavailableError("statement timeout")
        return document["n"]

    script = Script((200, {}, b'{"errors": [{"message": "statement timeout"}]}'), OK)
    async with client_for(await serve(script), instant_clock) as client:
        assert await client.get("/v2/trades", None, decode) == 7
    assert script.calls == 2


async def test_attempts_end(serve, instant_clock):
    script = Script((500, {}, b"{}"))
    policy = RetryPolicy(attempts=4, breaker_failures=100)
    async with client_for(await serve(script), instant_clock, policy) as client:
        with pytest.raises(UpstreamUnavailableError, match="answered 500"):
            await client.get("/v2/trades", None, number)
    assert script.calls == 4


async def test_retry_after_holds_all_tasks_of_the_route_and_no_other(serve, virtual_clock):
    seen = []
    waiting = asyncio.Event()

    async def handler(request):
        seen.append((request.path, virtual_clock.now))
        if request.path == "/v2/trades" and len(seen) == 1:
            waiting.set()
            return answer_of((429, {"Retry-After": "60"}, b"{}"))
        return answer_of(OK)

    async with client_for(await serve(handler), virtual_clock) as client:
        first = asyncio.create_task(client.get("/v2/trades", None, number))
        await waiting.wait()
        while not client.snapshot()[0].errors:  # noqa: ASYNC110 - a counter, not an event
            await asyncio.sleep(0.001)
        started = virtual_clock.now
        assert await client.get("/v2/holders", None, number) == 7
        assert virtual_clock.now == started
        others = [asyncio.create_task(client.get("/v2/trades", None, number)) for _ in range(5)]
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert [path for path, _ in seen].count("/v2/trades") == 1
        answers = asyncio.gather(first, *others)
        while not answers.done():
            if virtual_clock._sleepers:
                at, _, future = virtual_clock._sleepers.pop(0)
                virtual_clock.now = max(virtual_clock.now, at)
                if not future.done():
                    future.set_result(None)
            await asyncio.sleep(0.002)
        assert answers.result() == [7] * 6
    assert all(at - started >= 60 for path, at in seen[1:] if path == "/v2/trades")


async def test_a_wait_beyond_the_cap_is_reported_at_once(serve, instant_clock):
    script = Script((429, {"Retry-After": "86400"}, b"{}"))
    async with client_for(await serve(script), instant_clock) as client:
        for _ in range(2):
            with pytest.raises(RateLimitedError) as caught:
                await client.get("/v2/trades", None, number)
            assert caught.value.retry_after_seconds == pytest.approx(86_400, abs=1)
    assert script.calls == 1  # the second one was not even sent
    assert instant_clock.slept == []


async def test_five_failures_pause_the_host_then_one_probe(serve, instant_clock):
    script = Script(*[(500, {}, b"{}")] * 5, OK)
    async with client_for(await serve(script), instant_clock, ONCE) as client:
        for _ in range(5):
            with pytest.raises(UpstreamUnavailableError):
                await client.get("/v2/trades", None, number)
        assert client.breaker_state == "open"
        before = instant_clock.now
        assert await client.get("/v2/activity", None, number) == 7
        assert instant_clock.now - before >= 30
        assert client.breaker_state == "closed"


async def test_a_dead_host_gets_few_requests(serve, instant_clock):
    script = Script((503, {}, b"{}"))
    async with client_for(await serve(script), instant_clock) as client:
        results = await asyncio.gather(
            *(client.get("/v2/activity", None, number) for _ in range(50)), return_exceptions=True
        )
    assert {type(result) for result in results} <= {UpstreamUnavailableError, CircuitOpenError}
    assert script.calls <= 50 * 1.1 + 20


async def test_refusals_and_throttling_do_not_open_the_circuit(serve, instant_clock):
    script = Script(*[(404, {}, b"{}")] * 10, *[(429, {}, b"{}")] * 10, OK)
    async with client_for(await serve(script), instant_clock, ONCE) as client:
        for _ in range(20):
            with pytest.raises((UpstreamRefusedError, RateLimitedError)):
                await client.get("/v2/trades", None, number)
            assert client.breaker_state == "closed"


async def test_throttling_lowers_the_limit_shown(serve, instant_clock):
    script = Script((429, {}, b"{}"), OK)
    async with client_for(await serve(script), instant_clock) as client:
        await client.get("/v2/trades", None, number)
        (stats,) = client.snapshot()
    assert stats.throttled == 1
    assert stats.limit == 1_400  # 70 % of 200 × 10


async def test_a_dripping_body_is_stopped_at_the_deadline(serve, instant_clock):
    async def drip(request):
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    async with client_for(await serve(drip), instant_clock, ONCE, timeouts=(1.0, 1.0, 0.3)) as client:
        started = asyncio.get_running_loop().time()
        with pytest.raises(UpstreamUnavailableError, match="did not answer within"):
            await client.get("/v2/trades", None, number)
        assert asyncio.get_running_loop().time() - started < 1.0


async def test_silence_is_a_failure(serve, instant_clock):
    async def silent(request):
        await asyncio.sleep(30)

    async with client_for(await serve(silent), instant_clock, ONCE, timeouts=(1.0, 0.2, 5.0)) as client:
        with pytest.raises(UpstreamUnavailableError, match="TimeoutError"):
            await client.get("/v2/trades", None, number)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ((500, {}, b"{}"), "answered 500"), ((200, {}, b"[]"), "unexpected shape"), ((200, {}, b"{"), "does not parse"),
    ],
)  # fmt: skip
async def test_errors_say_how_it_was_asked(serve, instant_clock, answer, text):
    async with client_for(await serve(Script(answer)), instant_clock, ONCE) as client:
        with pytest.raises(PolyhouseError, match=f"data: POST /gn .*{text}"):
            await client.post("/gn", b"{}", number)
        with pytest.raises(PolyhouseError, match=f"data: GET /gn .*{text}"):
            await client.get("/gn", None, number)


async def test_silence_says_how_it_was_asked(serve, instant_clock):
    async def silent(request):
        await asyncio.sleep(30)

    async with client_for(await serve(silent), instant_clock, ONCE, timeouts=(1.0, 5.0, 0.2)) as client:
        with pytest.raises(UpstreamUnavailableError, match="data: POST /gn did not answer"):
            await client.post("/gn", b"{}", number)


async def test_nobody_listening(instant_clock, unused_tcp_port):
    async with client_for(f"http://127.0.0.1:{unused_tcp_port}", instant_clock, ONCE) as client:
        with pytest.raises(UpstreamUnavailableError, match="data: GET /v2/trades failed"):
            await client.get("/v2/trades", None, number)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity"])
async def test_bodies_are_capped_after_decompression(serve, instant_clock, encoding):
    plain = b" " * 3_000_000
    body = {"gzip": gzip.compress, "deflate": zlib.compress, "identity": bytes}[encoding](plain)

    async def handler(request):
        return web.Response(body=body, headers={"Content-Type": "application/json", "Content-Encoding": encoding})

    async with client_for(await serve(handler), instant_clock, max_body_bytes=1_000_000) as client:
        with pytest.raises(UpstreamContractError, match="more than 1,000,000 bytes"):
            await client.get("/v2/trades", None, number)
        assert client.snapshot()[0].requests == 1


async def test_redirects_stay_on_the_host(serve, instant_clock):
    elsewhere = Script(OK)
    other = await serve(elsewhere)

    async def handler(request):
        if request.path == "/v2/trades":
            raise web.HTTPFound(request.query["to"])
        if request.path == "/loop":
            raise web.HTTPMovedPermanently("/loop")
        return answer_of(OK)

    async with client_for(await serve(handler), instant_clock) as client:
        assert await client.get("/v2/trades", {"to": "/moved"}, number) == 7
        for target in (other, "http://169.254.169.254/latest", "https://127.0.0.1/", "file:///etc/passwd"):
            with pytest.raises(UpstreamRefusedError, match="another host") as caught:
                await client.get("/v2/trades", {"to": target}, number)
            assert caught.value.status == 302
        with pytest.raises(UpstreamRefusedError, match="circles"):
            await client.get("/v2/trades", {"to": "/loop"}, number)
    assert elsewhere.calls == 0


@pytest.mark.parametrize("status", [200, 401, 429, 500])
async def test_secrets_never_reach_an_error(serve, instant_clock, status):
    async def echo(request):
        text = f'{{"error": "no access for {request.headers["X-Key"]} at {request.url}"}}'
        kind = "application/json" if status != 200 else f"text/{SECRET}"
        return web.Response(status=status, text=text, headers={"Content-Type": kind})

    url = (await serve(echo)).replace("http://", f"http://user:{SECRET}@")
    async with client_for(url, instant_clock, ONCE, headers={"X-Key": f"Bearer {SECRET}"}) as client:
        with pytest.raises(Exception, match="GET /v2/trades") as caught:
            await client.get("/v2/trades", {"user": "0x1"}, number)
    error = caught.value
    while error is not None:
        assert SECRET not in str(error)
        error = error.__cause__


async def test_a_key_in_the_path_of_a_node_never_reaches_an_error(serve, instant_clock):
    async def echo(request):
        return web.json_response({"error": f"no access at {request.url}"}, status=403)

    async with client_for(f"{await serve(echo)}/v2/{SECRET}", instant_clock, ONCE) as client:
        with pytest.raises(UpstreamRefusedError, match="no access") as caught:
            await client.post("", b"{}", number)
    assert SECRET not in str(caught.value)


def test_two_keys_exclude_each_other():
    with pytest.raises(ConfigError) as caught:
        HttpClient(f"https://user:{SECRET}@host", DATA, headers={"Authorization": "Bearer other"})
    assert SECRET not in str(caught.value)


async def test_queries_repeat_lists_and_spell_booleans(serve, instant_clock):
    seen = []

    async def handler(request):
        seen.append(request.query_string)
        return answer_of(OK)

    async with client_for(await serve(handler), instant_clock) as client:
        await client.get("/v2/trades", {"id": ["1", "2"], "closed": True, "cursor": None, "limit": 5}, number)
    assert seen == ["id=1&id=2&closed=true&limit=5"]


async def test_the_base_url_keeps_its_path(serve, instant_clock):
    script = Script(OK)
    paths = []

    async def handler(request):
        paths.append(request.path)
        return await script(request)

    async with client_for(await serve(handler) + "/data/", instant_clock) as client:
        await client.get("/v2/trades", None, number)
    assert paths == ["/data/v2/trades"]


async def test_a_key_in_the_query_of_the_setting_reaches_its_host(serve, instant_clock):
    seen = []

    async def handler(request):
        seen.append((request.path, request.query_string))
        return answer_of(OK)

    async with client_for(await serve(handler) + "/rpc?apikey=" + SECRET, instant_clock) as node:
        for _ in range(2):
            await node.post("", b"{}", number)
    assert seen == [("/rpc", f"apikey={SECRET}")] * 2


@pytest.mark.parametrize("url", ["", "data-api", "ftp://host", "https://"])
def test_a_base_url_must_be_one(url):
    with pytest.raises(ConfigError):
        HttpClient(url, DATA)


async def test_cancelling_a_request_frees_its_place(serve, instant_clock):
    release = asyncio.Event()

    async def handler(request):
        if request.query.get("slow"):
            await release.wait()
        return answer_of(OK)

    async with client_for(await serve(handler), instant_clock, connections=1) as client:
        slow = asyncio.create_task(client.get("/v2/trades", {"slow": 1}, number))
        await asyncio.sleep(0.05)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert await asyncio.wait_for(client.get("/v2/trades", None, number), 2.0) == 7
        assert client.breaker_state == "closed"
