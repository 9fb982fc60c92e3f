"""Order history from a Dome-compatible host, by offset and by key."""

from __future__ import annotations

import logging
from collections import Counter

import pytest
from aiohttp import web

from polyhouse.domain.ids import format_hash, format_token
from polyhouse.errors import AuthError, CursorRejectedError, UpstreamContractError
from polyhouse.sim import dome_api
from polyhouse.sim.goldsky_api import raw_fills
from polyhouse.sources.dome import DOME, DomeOrders, auth_headers
from polyhouse.sources.http import HttpClient


def client_of(url, tools, key=dome_api.KEY, server=None):
    clock = tools.clock(server) if server is not None else None
    return HttpClient(url, DOME, rate_scale=1_000.0, policy=tools.patient, headers=auth_headers(key), clock=clock)


def busiest(server):
    return Counter(fill.log.fields["maker"] for fill in raw_fills(server.world)).most_common(1)[0][0]


@pytest.mark.parametrize("page_limit", [9, 1_000])
async def test_every_fill_of_a_wallet_with_its_exact_cash(server, tools, page_limit):
    wallet = busiest(server)
    wanted = Counter(
        (fill.tx, fill.log.fields["order"], fill.token, "BUY" if fill.buys else "SELL", fill.shares, fill.usdc)
        for fill in raw_fills(server.world)
        if fill.log.fields["maker"] == wallet
    )
    async with client_of(server.dome_url, tools, server=server) as client:
        stream = DomeOrders(client, page_limit=page_limit)
        pages = await tools.whole(stream, stream.partition(wallet))
        assert [reject for page in pages for reject in page.rejected] == []
        rows = tools.rows(pages)
        pieces = await tools.pieces(lambda: DomeOrders(client, page_limit=page_limit), stream.partition(wallet))
    found = Counter(
        (format_hash(row["tx"]), format_hash(row["order_hash"]), format_token(row["token"]), row["kind"],
         row["shares"], row["cash"])
        for row in rows
    )  # fmt: skip
    assert found == wanted
    assert tools.rows(pieces) == rows
    assert server.requests["dome/polymarket/orders"] > (10 if page_limit == 9 else 1)


async def test_a_host_that_pages_by_offset_only(server, tools):
    """Older hosts know no pagination_key; rows that arrive meanwhile must not shift what is still to come."""
    wallet = busiest(server)

    async def without_key(request: web.Request) -> web.Response:
        from polyhouse.sim.wire import Reply

        query = {name: request.query.getall(name) for name in request.query} | {
            "authorization": [request.headers.get("Authorization", "")]
        }
        reply: Reply = dome_api.orders(server.world, query)
        reply.doc["pagination"].pop("pagination_key", None)
        return web.Response(body=reply.encoded(), content_type="application/json")

    app = web.Application()
    app.router.add_get("/{path:.*}", without_key)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with (
            client_of(url, tools, server=server) as by_offset,
            client_of(server.dome_url, tools, server=server) as by_key,
        ):
            stream, other = DomeOrders(by_offset, page_limit=11), DomeOrders(by_key, page_limit=1_000)
            pages = await tools.whole(stream, stream.partition(wallet))
            assert "offset" in pages[0].position
            assert tools.rows(pages) == tools.rows(await tools.whole(other, other.partition(wallet)))
    finally:
        await runner.cleanup()


async def test_the_next_walk_reads_ten_minutes_once_more_and_no_further(server, tools):
    wallet = busiest(server)
    async with client_of(server.dome_url, tools, server=server) as client:
        stream = DomeOrders(client)
        first = await tools.whole(stream, stream.partition(wallet))
        again = await tools.whole(stream, stream.partition(wallet), first[-1].position)
    newest = max(row["ts"] for row in tools.rows(first))
    assert tools.rows(again) == [row for row in tools.rows(first) if row["ts"] >= newest - 600]


@pytest.mark.parametrize(("key", "status"), [("wrong-key-7431", 401), (dome_api.FORBIDDEN_KEY, 403)])
async def test_a_refused_key_is_an_auth_error_that_does_not_show_it(server, tools, caplog, key, status):
    caplog.set_level(logging.DEBUG)
    async with client_of(server.dome_url, tools, key) as client:
        stream = DomeOrders(client)
        with pytest.raises(AuthError, match=str(status)) as caught:
            await tools.whole(stream, stream.partition("0x" + "11" * 20))
    assert caught.value.exit_code == 4
    assert key not in str(caught.value) + caught.value.hint + caplog.text


def test_no_key_is_an_auth_error():
    with pytest.raises(AuthError) as caught:
        auth_headers("")
    assert "POLYHOUSE_DOME_API_KEY" in caught.value.hint


async def test_pages_that_would_not_move_on_are_refused(tools):
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"orders": [], "pagination": {"has_more": True}})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with client_of(f"http://127.0.0.1:{runner.addresses[0][1]}", tools) as client:
            stream = DomeOrders(client)
            with pytest.raises(UpstreamContractError, match="move on"):
                await tools.whole(stream, stream.partition("0x" + "11" * 20))
    finally:
        await runner.cleanup()


async def test_a_key_that_expired_starts_the_walk_again_at_its_upper_end(server, tools):
    wallet = busiest(server)
    async with client_of(server.dome_url, tools, server=server) as client:
        stream = DomeOrders(client, page_limit=9)
        walk = stream.pages(stream.partition(wallet), {})
        first = await anext(walk)
        await walk.aclose()
        broken = dict(first.position) | {"key": "expired"}
        with pytest.raises(CursorRejectedError):
            await tools.whole(stream, stream.partition(wallet), broken)
        restarted = await tools.whole(stream, stream.partition(wallet), stream.restart_position(broken))
        assert tools.rows(restarted) == tools.rows(await tools.whole(stream, stream.partition(wallet)))
