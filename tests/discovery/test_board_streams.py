"""The streams behind discovery, against the simulator: every page, every row, and where lists end."""

from __future__ import annotations

from polyhouse.errors import CursorRejectedError
from polyhouse.sim.data_boards import standings
from polyhouse.sim.world import Quirks
from polyhouse.sources.data_api import BiggestWinners, Holders, Leaderboard, MarketPositions
from polyhouse.sources.data_api.boards import FULL, WALL
from polyhouse.sources.http import DATA, HttpClient


def client_of(lab):
    return HttpClient(lab.server.data_url, DATA, rate_scale=1_000.0)


async def walk(stream, partition, position=None):
    return [page async for page in stream.pages(partition, position or {})]


def column(pages, table, name):
    return [value for page in pages for value in page.tables.get(table, {}).get(name, ())]


def board(stream, key):
    return next(one for one in stream.partitions(0) if one.key == key)


async def test_a_leaderboard_is_read_to_its_end_in_its_order(lab):
    async with client_of(lab) as client:
        stream = Leaderboard(client, page_limit=7)
        for key, place in (("all/overall/PNL", 1), ("week/overall/VOLUME", 2)):
            pages = await walk(stream, board(stream, key))
            rows = sorted(standings(lab.server.world, key.split("/")[0], None), key=lambda row: (-row[place], row[0]))
            names = [bytes.fromhex(lab.server.world.views.wallet_name(row[0])[2:]) for row in rows]
            assert column(pages, "reported_standings", "wallet") == names
            assert column(pages, "reported_standings", "pnl") == [row[1] for row in rows]
            assert column(pages, "reported_standings", "volume") == [row[2] for row in rows]
            assert column(pages, "reported_standings", "rank") == list(range(1, len(rows) + 1))
            assert [page.is_last for page in pages] == [False] * (len(pages) - 1) + [True]


async def test_every_period_category_and_order_is_a_board(lab):
    async with client_of(lab) as client:
        keys = [partition.key for partition in Leaderboard(client).partitions(0)]
        assert len(keys) == len(set(keys)) == 92
        assert {key.split("/")[0] for key in keys} == {"day", "week", "month", "all"}
        assert "all/combos/PNL" in keys
        assert "all/combos/VOLUME" not in keys
        assert len(BiggestWinners(client).partitions(0)) == 48


async def test_the_biggest_wins_are_positions(lab):
    async with client_of(lab) as client:
        stream = BiggestWinners(client, page_limit=10)
        pages = await walk(stream, board(stream, "all/overall"))
        pnl = column(pages, "reported_standings", "pnl")
        assert pnl == sorted(pnl, reverse=True)
        assert min(pnl) > 0
        keys = list(zip(column(pages, "reported_standings", "wallet"), column(pages, "reported_standings", "detail"),
                        strict=True))  # fmt: skip
        assert len(keys) == len(set(keys)) > 10
        assert set(column(pages, "reported_standings", "board")) == {"WINS"}


async def test_a_refused_cursor_is_a_wall_only_the_second_time_at_the_same_depth(make_lab):
    async with make_lab(Quirks(wall=10)) as lab, client_of(lab) as client:
        stream = Leaderboard(client, page_limit=5)
        partition = board(stream, "all/overall/PNL")
        pages, position = [], {}
        try:
            async for page in stream.pages(partition, {}):
                pages.append(page)
                position = page.position
        except CursorRejectedError:
            position = stream.restart_position(position)
        assert position == {"refused_at": 10}
        again = await walk(stream, partition, position)
        assert again[-1].is_last
        assert again[-1].position[WALL] == 10
        assert column(again, "reported_standings", "wallet") == column(pages, "reported_standings", "wallet")


async def test_holders_of_many_markets_are_paged_together(lab):
    world = lab.server.world
    markets = [market for market in world.visible_markets() if market.resolution is None]
    true = {
        (int(market.meta.token_ids[outcome]).to_bytes(32, "big"), bytes.fromhex(world.views.wallet_name(who)[2:])): held
        for market in markets
        for outcome in (0, 1)
        for who, held in world.views.holders(market.number, outcome, 1)
    }
    async with client_of(lab) as client:
        stream = Holders(client, page_limit=2)
        pages = await walk(stream, stream.partition([market.meta.condition_id for market in markets]))
        assert len(pages) > 2
        names = ("token", "wallet", "shares")
        token, wallet, shares = (column(pages, "reported_holders", name) for name in names)
        assert dict(zip(zip(token, wallet, strict=True), shares, strict=True)) == true
        even = {row[0] for row in true if sum(other[0] == row[0] for other in true) == 6}
        assert {int(name).to_bytes(32, "big") for name in pages[-1].position.get(FULL, {})} == even

        positions = MarketPositions(client, page_limit=2)
        market = markets[0]
        pages = await walk(positions, positions.partition(market.meta.condition_id))
        found = set(zip(column(pages, "reported_positions", "token"), column(pages, "reported_positions", "wallet"),
                        strict=True))  # fmt: skip
        tokens = {int(text).to_bytes(32, "big") for text in market.meta.token_ids}
        assert found == {key for key in true if key[0] in tokens}
